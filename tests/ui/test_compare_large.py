"""Very many files and very long changes: each key costs the loop little, and memory is bounded."""

import time
from pathlib import Path

import psutil
from textual.pilot import Pilot

from core.diff.result import FileDiff
from tests.conftest import full
from tests.diffs import diff_of, file_diff, state
from tests.ui.looks import app_of, text_of, until, until_seen
from tests.ui.test_compare import comparing, files, view

FILES, LINES = (100_000, 1_000_000) if full() else (3000, 20_000)
KEY_MS = (
    50.0 if full() else 200.0
)  # of the loop's processor time, for 19 keys of 20; a core that is shared is slower
MOST_MIB = 450  # that 100,000 files take, and the JSON they came in


def many() -> tuple[FileDiff, ...]:
    """As an upgrade leaves them: in packages, half of them compiled."""
    return tuple(
        file_diff(
            f"/usr/lib/python3/package{number // 100}/module{number}.py{'c' * (number % 2)}",
            state(),
            state(size=9),
        )
        for number in range(FILES)
    )


class Keys:
    """Presses keys one by one, and keeps what each cost the loop's thread."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self._pilot, self._all = pilot, list[float]()

    async def press(self, what: str, *keys: str) -> None:
        """Press them, and print what they cost."""
        took = []
        for key in keys:
            began = time.thread_time()
            await self._pilot.press(key)
            await self._pilot.pause()
            took.append((time.thread_time() - began) * 1000)
        print(f"{what}: {len(took)} keys, mean {sum(took) / len(took):.1f} ms, most {max(took):.1f} ms")
        self._all += took

    def judge(self) -> None:
        """All of them together."""
        p95 = sorted(self._all)[len(self._all) * 19 // 20]
        print(f"all: {len(self._all)} keys, 95 % {p95:.1f} ms")
        assert p95 <= KEY_MS


async def test_very_many_files_stay_fluent(tmp_path: Path) -> None:
    process = psutil.Process()
    answers = {"/v1/diff": diff_of(*many()), "/v1/patch": b""}
    before = process.memory_info().rss
    async with comparing(tmp_path, answers) as pilot:
        await until_seen(pilot, f"{FILES} files", "noise")
        print(f"memory: {(process.memory_info().rss - before) >> 20} MiB more with {FILES} files")
        assert process.memory_info().rss - before < MOST_MIB << 20
        await until(pilot, lambda: "counting" not in text_of(app_of(pilot)))
        keys = Keys(pilot)
        await keys.press("fold and unfold all", *("Z",) * 6)
        await keys.press("move", *("j",) * 30, *("ctrl+d",) * 10, "G", "g")
        await keys.press("next file", *("right_square_bracket",) * 20)
        await keys.press("fold and unfold", *("h", "h", "enter", "enter") * 5)
        await keys.press("search", "slash", *"module12", "enter")
        await until(pilot, lambda: "module12" in str(files(pilot).border_subtitle))
        await keys.press("move in what was found", *("j",) * 20)
        keys.judge()


async def test_a_very_long_change_stays_fluent(tmp_path: Path) -> None:
    pair = b"-a\n+b\n"  # as short as lines are: what is shown of a file is a mebibyte of each side at most
    body = pair * (LINES // 2 - 10) + b"-a\n+Needle\n" * 10
    head = b"diff --git a/big b/big\n--- a/big\n+++ b/big\n@@ -1,%d +1,%d @@\n" % (LINES // 2, LINES // 2)
    answers = {"/v1/diff": diff_of(file_diff("/big", state(), state())), "/v1/patch": head + body}
    async with comparing(tmp_path, answers) as pilot:
        await pilot.press("G")
        await until(pilot, lambda: bool(view(pilot).display))
        await pilot.press("enter")
        keys = Keys(pilot)
        await keys.press("scroll", *("j",) * 20, *("ctrl+d",) * 20, "G", "g")
        await keys.press("next change", *("right_parenthesis",) * 20)
        await keys.press("side by side", *("vertical_line",) * 5)
        await keys.press("search", "slash", *"needle", "enter", *("n",) * 10)
        await keys.press("wrap", "backslash")
        await until(pilot, lambda: view(pilot).virtual_size.height > LINES // 2)
        await keys.press("scroll what is wrapped", *("ctrl+d",) * 10, "G", "g")
        keys.judge()
