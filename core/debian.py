"""The Debian packages that vertui drives, as `debian.txt` lists them."""

import ctypes
import os
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from core.model import Finding

LIST = Path(__file__).with_name("debian.txt")
SYSTEM_PATH = (
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # an ordinary user's often lacks half
)
Find = Callable[[str], str | None]


@lru_cache(1)
def shown_by() -> dict[str, str]:
    """Each package by what shows that it is there."""
    lines = [line.split() for line in LIST.read_text().split("\n") if line and not line.startswith("#")]
    return {sign: package for package, *signs in lines for sign in signs}


def programs() -> list[str]:
    """The programs among them."""
    return [sign for sign in shown_by() if not _is_file(sign)]


def find(program: str) -> str | None:
    """Where a program is."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


def finding(find: Find = find) -> Finding:
    """Which of them are missing, and the one line that installs these."""
    missing = dict.fromkeys(package for sign, package in shown_by().items() if not _is_there(sign, find))
    names = " ".join(missing)
    detail, fix = (f"missing: {names}", f"apt-get install {names}") if missing else ("all there", "")
    return Finding("Debian packages", not missing, detail, fix)


def _is_there(sign: str, find: Find) -> bool:
    if not _is_file(sign):
        return find(sign) is not None
    if sign.startswith("/"):
        return Path(sign).exists()
    try:
        ctypes.CDLL(sign)
    except OSError:
        return False
    return True


def _is_file(sign: str) -> bool:
    return "/" in sign or ".so." in sign
