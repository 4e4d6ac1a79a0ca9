"""Sizes as people type them."""

import re

from core.errors import UsageError

SIZE = re.compile(r"([0-9]{1,20})\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """`512M`, `4G`, `1048576` as bytes; UsageError for anything else."""
    match = SIZE.fullmatch(text.strip())
    if not match:
        raise UsageError(f"'{text[:40]}' is no size: write it like 512M or 4G")
    return int(match[1]) * int(1024 ** POWERS[match[2].lower()])
