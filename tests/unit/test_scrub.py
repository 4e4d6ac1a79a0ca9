"""Files wiped before a commit: all of them or none, by a guest that may say anything about it."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from core.engine.live import Live
from core.engine.scrub import wiped_first
from core.errors import Conflict, GuestFailed, NoRoom
from core.guest.client import AgentClient
from core.verbs.base import command_line
from core.verbs.commit import Commit
from tests.twins.engine import in_memory, twin_engine


class Answering:
    """A branch whose guest is this machine."""

    def __init__(self, client: AgentClient) -> None:
        self._client = client

    async def agent(self) -> AgentClient:
        return self._client


@pytest.fixture
def live(client: AgentClient) -> Live:
    return cast(Live, Answering(client))


@pytest.fixture
def folder() -> Iterator[Path]:
    """One on a filesystem that is written in place."""
    if in_memory() is None:
        pytest.skip("needs a tmpfs it may write to")
    with tempfile.TemporaryDirectory(prefix="vertui-", dir=in_memory()) as made:
        yield Path(made)


async def wipe(live: Live, *paths: Path | str) -> None:
    async with wiped_first(live, [str(path) for path in paths]):
        pass


async def test_what_is_wiped_is_zeros_and_gone(live: Live, folder: Path) -> None:
    odd, sparse = folder / "o\u00fcd name", folder / "sparse"
    odd.write_bytes(b"secret" * 10_000)
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 39)
        file.write(b"secret")
    handles = [os.open(path, os.O_PATH) for path in (odd, sparse)]  # which hold nothing open
    await wipe(live, odd, sparse, odd)
    assert not list(folder.iterdir())
    for handle, at, size in zip(handles, (0, 1 << 39), (60_000, 6), strict=True):
        with open(f"/proc/self/fd/{handle}", "rb") as file:  # noqa: PTH123
            file.seek(at)
            assert file.read(size) == bytes(size)
        os.close(handle)


async def test_one_that_cannot_be_wiped_leaves_all(live: Live, folder: Path) -> None:
    names = ("good", "open", "twice", "immutable")
    good, held, twice, _ = files = [folder / name for name in names]
    for one in files:
        one.write_text("secret")
    (folder / "again").hardlink_to(twice)
    (folder / "way").symlink_to(folder)
    (folder / "pipe").touch()
    with held.open() as file:
        assert file.readable()
        for path, why in (
            (held, rf"is held open by \S.* \(pid {os.getpid()}\)"),
            (twice, "has 2 names"),
            (folder / "again", "has 2 names"),
            (folder / "way" / "good", "leads through a link, way"),
            (folder / "way", "is a link"),
            (folder, "is a directory"),
            (folder / "none", "cannot be wiped: No such file"),
            (folder / "good" / "below", "cannot be wiped: Not a directory"),
            (f"{folder}/", "is no absolute path"),
            ("good", "is no absolute path"),
            ("/proc/version", "is on proc"),
            ("/dev/null", "is no regular file"),
        ):
            with pytest.raises(Conflict, match=f"^nothing was wiped and no commit was made: {path} {why}"):
                await wipe(live, good, path)
    assert [one.read_text() for one in files] == ["secret"] * len(files)


async def test_whoever_opens_a_file_meanwhile_finds_it_wiped(live: Live, folder: Path) -> None:
    """They wait for the lease, and never read a part that is still there."""
    path = folder / "large"
    path.write_bytes(b"secret" * (8 << 20))
    wiping = asyncio.create_task(wipe(live, path))
    seen = []
    while not wiping.done():
        seen.append(await asyncio.to_thread(_read, path))
        await asyncio.sleep(0.001)
    try:
        await wiping
    except Conflict:  # it was being read when it was to be taken: then it is whole
        assert path.read_bytes() == b"secret" * (8 << 20)
    else:
        assert not path.exists()
    assert {data in (None, bytes(6), b"secret") for data in seen} == {True}
    last = [data for data in seen if data is not None]
    assert sorted(last, key=lambda data: data == bytes(6)) == last


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(6)
    except FileNotFoundError:
        return None


async def test_what_fails_afterwards_says_that_they_are_gone(live: Live, folder: Path) -> None:
    path = folder / "file"
    path.write_text("secret")
    with pytest.raises(NoRoom, match="no room; the files that were to be scrubbed are gone already"):
        async with wiped_first(live, [str(path)]):
            raise NoRoom("no room")
    with pytest.raises(NoRoom, match=r"^no room$"):
        async with wiped_first(live, []):
            raise NoRoom("no room")


@pytest.mark.parametrize(
    "says", ["", "nothing", "[]", "[" * 100_000, '{"wiped": "all"}', '{"wiped": 0, "problems": [1]}', "exit"]
)
async def test_a_guest_that_says_anything_else_is_not_believed(
    live: Live, folder: Path, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "said").write_text(says)
    script = "exit 3" if says == "exit" else f"cat {folder}/said"
    start = AgentClient.exec

    async def lying(self: AgentClient, argv: object, **options: object) -> object:
        return await start(self, script, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(AgentClient, "exec", lying)
    with pytest.raises(GuestFailed):
        await wipe(live, "/root/key")


async def test_where_it_cannot_be_tried_there_is_no_commit() -> None:
    with twin_engine() as twins:
        twins.begin()
        try:
            await twins.do("up")
            before = twins.world()
            with pytest.raises(GuestFailed, match="no programs"):  # in the twin of a guest
                await twins.do("commit", "main", scrub=("/root/key",))
            await twins.do("pause", "main")
            with pytest.raises(Conflict, match="main is paused, and files are wiped by its guest"):
                await twins.do("commit", "main", scrub=("/root/key",))
            assert twins.world().commits == before.commits
        finally:
            await twins.close()


def test_it_is_a_command_line() -> None:
    wanted = "vertui commit main --scrub /root/a --scrub '/root/b c'"
    assert command_line(Commit("main", scrub=("/root/a", "/root/b c"))) == wanted
