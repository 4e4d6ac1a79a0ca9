"""Syntax colours of a change, told by a process (`vertui.compare.colourist`); without it there are none."""

import contextlib
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Sequence

from core.patience import patient
from core.python import program
from vertui.compare.change import FilePatch, LinePart, Spans

MOST_LINES = 4000  # of a change that are coloured, and the text is there before its colours
LONGEST_S = 2.0  # that a text may take


class Syntax:
    """Asks the process, which is started when it is first needed and ended by `close`. Call it off the loop."""

    def __init__(self, argv: Sequence[str] = (), longest_s: float = LONGEST_S) -> None:
        self._argv = argv or program("vertui.compare.colourist")
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def of(self, change: FilePatch, name: str) -> dict[int, Spans]:
        """The spans of each line, as far as they are told in time."""
        found: dict[int, Spans] = {}
        left = MOST_LINES
        for begin, end in change.hunks():
            end = min(end, begin + left)
            left -= end - begin
            for other in (LinePart.ADDED, LinePart.REMOVED):  # each side is a text of its own
                lines = [line for line in range(begin, end) if change.parts[line] != other]
                told = self._ask(name, [change.text(line) for line in lines])
                if not told:
                    return found
                found.update(zip(lines, told, strict=False))
            if left <= 0:
                break
        return found

    def close(self) -> None:
        """End the process; whoever waits for it gets nothing."""
        self._closed = True
        if process := self._process:
            process.kill()
        if self._lock.acquire(blocking=False):  # else its pipes are in use: whoever asks ends it
            self._end()
            self._lock.release()

    def _ask(self, name: str, lines: list[str]) -> list[Spans]:
        with self._lock:
            try:
                return self._answer(json.dumps([name, lines]).encode() + b"\n")
            except (OSError, ValueError):
                self._end()
                return []
            finally:
                if self._closed:
                    self._end()

    def _answer(self, request: bytes) -> list[Spans]:
        """OSError when it takes too long: half an answer is of no use to the next question."""
        if self._closed:
            return []
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0,  # ctrl+c is for the app
            )
        into, out = self._process.stdin, self._process.stdout
        assert into is not None and out is not None
        deadline = time.monotonic() + patient(self._longest_s)
        os.set_blocking(out.fileno(), False)
        into.write(request)
        into.flush()
        answer = bytearray()
        while not answer.endswith(b"\n"):
            ready, _, _ = select.select([out], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(out.fileno(), 1 << 16) if ready else b""
            if not piece:
                raise OSError("no answer in time")
            answer += piece
        return [[(length, kind) for length, kind in line] for line in json.loads(answer)]

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    assert pipe is not None
                    pipe.close()
