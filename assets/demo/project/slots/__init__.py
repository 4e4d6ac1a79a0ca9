"""Free time in a calendar: busy intervals in minutes since midnight, half open."""

from slots.calendar import free, merge
from slots.clock import parse, show

__all__ = ["free", "merge", "parse", "show"]
