"""The guest's clock, kept with the host's.

While a machine stands still, for a commit, a pause or because its host sleeps, its clock does too, and nothing inside
can tell. So the host says what time it is whenever it lets a guest run on.

Somebody in the guest may have set a time of their own on purpose (`date -s "+30 days"`). That shows as a step between
the two clocks of the kernel, and such a clock keeps its distance from the host's, also in forks and after a restore;
a distance under OWN_TIME_NS is taken for an error and goes. An agent started anew has not seen the step: the clock is
then the host's again.
"""

from __future__ import annotations

import time

OWN_TIME_NS = 2_000_000_000
"""Further than anything but intention moves a clock: leap seconds are one second."""

AHEAD_NS = 25_000_000
"""A clock this little ahead stays: programs bear a short step back worse than the error."""


class Clock:
    """CLOCK_REALTIME as steps from CLOCK_MONOTONIC, which nobody can set."""

    def __init__(self) -> None:
        self._origin_ns: int | None = None  # the host's time when CLOCK_MONOTONIC was zero, as last told

    def follow(self, host_ns: int, *, exactly: bool = False) -> dict[str, int]:
        """It is `host_ns` now: set the clock unless it is a little ahead, or then as well with `exactly`; `read`."""
        distance_ns = self._distance_ns()
        behind_ns = host_ns + distance_ns - time.time_ns()
        if exactly or behind_ns > 0 or behind_ns < -AHEAD_NS:
            self.set(host_ns + distance_ns)
        self._origin_ns = _offset_ns() - distance_ns
        return self.read()

    def advance(self, step_ns: int, origin_ns: int) -> dict[str, int]:
        """Correct the clock by what the host found it behind, unless it was set since it was `read`."""
        if step_ns and origin_ns == self._origin_ns:
            distance_ns = self._distance_ns()
            self.set(time.time_ns() + step_ns)
            self._origin_ns = _offset_ns() - distance_ns
        return self.read()

    def read(self) -> dict[str, int]:
        """The clock, how far ahead of the host's somebody here set it, and what tells one setting from the next."""
        if self._origin_ns is None:
            self._origin_ns = _offset_ns()
        distance_ns = self._distance_ns()
        return {"unix_time_ns": time.time_ns(), "distance_ns": distance_ns, "origin_ns": self._origin_ns}

    def set(self, unix_time_ns: int) -> None:
        """Set the kernel's clock."""
        time.clock_settime_ns(time.CLOCK_REALTIME, unix_time_ns)

    def _distance_ns(self) -> int:
        if self._origin_ns is None:
            return 0
        distance_ns = _offset_ns() - self._origin_ns
        return distance_ns if abs(distance_ns) >= OWN_TIME_NS else 0


def _offset_ns() -> int:
    return time.time_ns() - time.monotonic_ns()
