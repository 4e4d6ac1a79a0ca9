"""How somebody likes to see changes: kept for the next comparison as long as the app lives."""

from dataclasses import dataclass

from vertui.compare.noise import RULES, Rule


@dataclass
class Arrangement:
    """`blank` shows changes of white space alone as if they were none; `rules` say what is noise."""

    side_by_side: bool = False
    wrapped: bool = False
    blank: bool = False
    rules: tuple[Rule, ...] = RULES
