"""Tools end whole when cancelled, and fail with one line that says why."""

import asyncio
from pathlib import Path

import pytest

from core.errors import NoRoom, VertuiError
from core.image.tools import alone, output, run


async def test_output_is_both_streams() -> None:
    assert await output(["sh", "-c", "echo one; echo two >&2"]) == "one\ntwo"


@pytest.mark.parametrize(
    ("script", "kind", "says"),
    [
        (
            "echo progress; echo 'E: no such package'; echo 'E: apt failed'; exit 1",
            VertuiError,
            "no such package",
        ),
        ("echo progress; echo 'the reason'; echo; exit 1", VertuiError, "the reason"),
        ("exit 3", VertuiError, "exit status 3"),
        ("echo 'write: No space left on device'; exit 1", NoRoom, "no disk space"),
    ],
)
async def test_failure_is_one_line(script: str, kind: type[VertuiError], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        await run(["sh", "-c", script])
    assert "\n" not in str(caught.value)


async def test_cancelled_leaves_no_process(tmp_path: Path) -> None:
    started = asyncio.Event()
    script = f"sleep 600 & (setsid sleep 600) & echo $$; : > {tmp_path}/scratch/file; wait"
    (tmp_path / "scratch").mkdir()
    task = asyncio.create_task(
        run(alone(["sh", "-c", script], tmp_path / "scratch"), lambda _: started.set())
    )
    await asyncio.wait_for(started.wait(), 10)
    children = Path(f"/proc/self/task/{_thread()}/children").read_text().split()
    assert children
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert not _mentions(str(tmp_path))
    assert list((tmp_path / "scratch").iterdir()) == []


def _thread() -> int:
    return int(Path("/proc/thread-self").readlink().name)


def _mentions(text: str) -> list[str]:
    """Command lines of living processes that hold `text`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found
