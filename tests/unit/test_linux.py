"""Advice that would make guests' memory large is refused, to a program and to what it executes, and nothing else is."""

import subprocess
import sys

import pytest

ADVISED = """
import mmap
room = mmap.mmap(-1, 4 << 20)
room.madvise(mmap.MADV_RANDOM)
try:
    room.madvise(mmap.MADV_HUGEPAGE)
    print("taken")
except OSError as error:
    print(error.strerror)
"""
REFUSING = """
import os, sys
from core.linux import refuse_huge_pages
refuse_huge_pages()
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""


def said(*argv: str) -> str:
    """What a Python program prints."""
    return subprocess.run(
        [sys.executable, "-c", *argv], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_advice_to_use_huge_pages_is_refused_to_descendants() -> None:
    if said(ADVISED) != "taken":
        pytest.skip("this kernel has no huge pages")
    assert said(REFUSING, ADVISED) == "Invalid argument"
