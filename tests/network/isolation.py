"""Run a test's body in a child process with a network namespace of its own.

pytest's own process stays where it is, and what a body forgets to remove goes with its process.
"""

import functools
import gc
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from core import linux


def isolated(body: Callable[..., None]) -> Callable[..., None]:
    """The test, run in a child that is alone in a new network namespace (and user namespace, when not root)."""

    @functools.wraps(body)
    def test(*args: Any, **kwargs: Any) -> None:
        run_isolated(lambda: body(*args, **kwargs), user=os.geteuid() != 0)

    return test


def run_isolated(body: Callable[[], None], *, user: bool) -> None:
    """Run `body` in such a child; a failure there fails the test here, with its traceback."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _in_child(body, user, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        report = pipe.read()
    _, status = os.waitpid(child, 0)
    if report or status:
        pytest.fail(report or f"the isolated process ended with status {status}", pytrace=False)


def _in_child(body: Callable[[], None], user: bool, writing: int) -> NoReturn:
    gc.freeze()  # so that the collection at the end looks at the body's objects, not at all of pytest's
    unraisable: list[str] = []
    sys.unraisablehook = lambda args: unraisable.append(f"{args.err_msg}: {args.exc_value!r}\n")
    try:
        linux.unshare(linux.CLONE_NEWNET | (linux.CLONE_NEWUSER if user else 0))
        body()
        gc.collect()
        report = "".join(unraisable)
    except BaseException:
        report = traceback.format_exc()
    os.write(writing, report.encode()[:60_000])
    os._exit(0)


def descriptors() -> dict[int, str]:
    """What this process has open, by number."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[int(entry.name)] = str(entry.readlink())
        except FileNotFoundError:  # the listing's own
            continue
    return found
