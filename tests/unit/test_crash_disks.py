"""Crash disks over twins: what a machine wrote before it died is kept, read, and goes only when somebody says so."""

import asyncio
import re
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pytest
from msgspec.structs import replace

from core.checkpoints import CheckpointPolicy, Trigger
from core.engine import chains, compare, inspect, upkeep
from core.engine.bases import shorten
from core.engine.context import FAULT
from core.engine.export import export_files
from core.engine.recover import recover
from core.engine.sealing import Sealer
from core.engine.thinning import thin
from core.engine.trash import free
from core.errors import Conflict, NotFound, UsageError, VertuiError
from core.model import BranchState
from core.verbs.base import Kind
from tests.store.states import qcow2
from tests.twins.engine import DISK_PAGES, Twins, twin_engine
from tests.unit.diff_images import copy_sparse, debugfs
from vertui.completion import names_in
from vertui.text import left_of
from vertui.widgets.detail import detail

BLOCK = 4096


@asynccontextmanager
async def home() -> AsyncIterator[Twins]:
    with twin_engine() as twins:
        twins.begin()
        try:
            await twins.do("up")
            yield twins
        finally:
            await twins.close()


def write(twins: Twins, path: str, branch: str = "main") -> None:
    """Let a machine write a file, whose content is its path, to its image's disk, and sync."""
    root = twins.engine.home.images / twins.engine.branch(branch).image / "root.raw"
    layer = twins.store.layer_path(twins.machine(branch).layers[-1])
    content, disk = layer.with_name("content"), layer.with_name("disk")
    content.write_text(path)
    debugfs(copy_sparse(root, disk), f"write {content} {path.lstrip('/')}")
    before, after = root.read_bytes(), disk.read_bytes()
    blocks = {n: after[n * BLOCK : (n + 1) * BLOCK] for n in range(DISK_PAGES)}
    layer.write_bytes(
        qcow2({n: b for n, b in blocks.items() if before[n * BLOCK :][:BLOCK] != b}, DISK_PAGES)
    )
    for path_ in (content, disk):
        path_.unlink()


async def die_with_the_daemon(twins: Twins, name: str) -> None:
    """The machine ends while nobody looks; a new daemon finds that out."""
    machine, row = twins.machine(name), twins.engine.branch(name)
    await twins.engine.machines.live.pop(row.id).leave()
    machine.end()
    twins.held.ended(f"machine:{machine.id}", -9)
    twins.engine.machines.found = False
    await recover(twins.engine, lambda _: None)


async def settled(twins: Twins) -> None:
    """Every commit is sealed, and machines lie on them."""
    await twins.engine.tasks.sealer.all_sealed()
    async with asyncio.timeout(60):
        while any(len(live.machine.layers) > 1 for live in twins.engine.machines.live.values()):
            await asyncio.sleep(0.01)


async def differing(twins: Twins, a: str, b: str) -> list[str]:
    return [entry.path for entry in (await compare.diff(twins.engine, a, b)).entries]


async def test_what_a_machine_wrote_before_it_died_is_there() -> None:
    async with home() as twins:
        write(twins, "/root/late")
        await twins.crash("main")
        tree = await inspect.tree(twins.engine)
        [shown] = tree.branches
        assert shown.state is BranchState.LOST and shown.crash and shown.crash.size_bytes > 0
        assert re.match(r"main@crash is its disk as it died \d+s ago, ", left_of(shown))
        assert any("main@crash" in line.plain for line in detail(tree, shown, (), (), 100))
        assert "main@crash" in names_in(tree, Kind.REF)
        assert await differing(twins, "main", "main@crash") == ["/root/late"]
        assert await differing(twins, "main@crash", "main") == ["/root/late"]
        said = (await compare.diff(twins.engine, "main", "main@crash", compare.EVERYTHING)).notes
        assert "what was not synced by then may be missing" in " ".join(said)
        async with export_files(twins.engine, "main@crash", b"/root/late", attributes=False) as pieces:
            told = b"".join([piece async for piece in pieces])
        with tarfile.open(fileobj=BytesIO(told)) as archive:
            [member] = archive.getmembers()
            file = archive.extractfile(member)
            assert file and file.read() == b"/root/late"
        assert compare.merge_base(twins.engine, ["main@crash", "main"]) == shown.head
        await twins.do("resume", "main")
        assert await differing(twins, "main", "main@crash") == ["/root/late"]
        assert await upkeep.check(twins.engine, 0) == []
        assert (await upkeep.du(twins.engine)).crash_bytes == shown.crash.size_bytes


async def test_what_needs_a_machine_says_that_a_crash_disk_is_none() -> None:
    async with home() as twins:
        with pytest.raises(NotFound, match="has no crash disk"):
            await compare.diff(twins.engine, "main", "main@crash")
        write(twins, "/root/late")
        await twins.crash("main")
        for verb, *given in (
            ("fork", "main@crash"), ("restore", "main", "main@crash"), ("tag", "main@crash", "good"),
            ("promote", "main@crash"), ("score", "main@crash", 1.0),
        ):  # fmt: skip
            with pytest.raises((UsageError, NotFound), match=r"a disk without|no branch 'main@crash'"):
                await twins.do(verb, *given)
        with pytest.raises(UsageError, match="of the memory it was beside nothing is left"):
            await compare.diff(twins.engine, "main", "main@crash", compare.DiffOptions(memory=True))
        with pytest.raises(NotFound, match="no branch 'nobody'"):
            await compare.diff(twins.engine, "main", "nobody@crash")


@pytest.mark.parametrize("committed", [False, True])
async def test_a_daemon_that_ended_with_the_machine_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, committed: bool
) -> None:
    """Also when a commit was on its way: what it froze is gone with the memory, and its layer is not."""
    async with home() as twins:
        write(twins, "/root/late")
        if committed:
            (tmp_path / "fault").write_text("seal.begun=fail")
            monkeypatch.setenv(FAULT, str(tmp_path / "fault"))
            await twins.do("commit", "main", wait=False)
            await twins.engine.tasks.sealer.stop()
            twins.engine.tasks.sealer = Sealer(twins.engine)
            for key in [key for key in twins.held.holdings().kept if key.startswith("hot:")]:
                twins.held.drop(key)
        await die_with_the_daemon(twins, "main")
        row = twins.engine.branch("main")
        assert row.state is BranchState.LOST and row.crash
        assert await differing(twins, row.crash.head, "main@crash") == ["/root/late"]
        assert not [*twins.engine.home.chains.iterdir()]


async def test_a_layer_that_a_machine_was_about_to_write_is_known_before() -> None:
    async with home() as twins:
        live = twins.engine.machines.live[twins.engine.branch("main").id]
        made: list[chains.DiskChain | None] = []
        prepared = twins.machine("main").prepared

        def noticed(layer: object) -> object:
            made.append(chains.chain_of(twins.engine, live.machine.id))
            return prepared(layer)  # type: ignore[arg-type]

        twins.machine("main").prepared = noticed  # type: ignore[method-assign, assignment]
        before = live.machine.layers
        await twins.do("commit", "main")
        [chain] = made
        assert chain and chain.layers[: len(before)] == before and chain.layers[-1] in live.machine.layers
        await twins.do("fork", "main", 1)
        await settled(twins)
        for row in twins.engine.catalog.branches():
            machine = twins.machine(row.name)
            async with asyncio.timeout(60):  # it is written down once the machine has gone over
                while chains.chain_of(twins.engine, machine.id) != chains.DiskChain(
                    machine.disk_base, machine.layers
                ):
                    await asyncio.sleep(0.01)


async def test_nothing_is_written_of_a_machine_that_ends_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose chain is about to be made shorter; and one that was to take over from another, and failed."""
    monkeypatch.setenv(FAULT, str(tmp_path / "fault"))
    async with home() as twins:
        await twins.do("commit", "main")
        await settled(twins)
        (tmp_path / "fault").write_text("hand-over.written=fail")
        with pytest.raises(VertuiError, match=r"hand-over\.written"):
            await twins.do("hand-over", "main")
        assert [path.stem for path in twins.engine.home.chains.iterdir()] == [twins.machine("main").id]
        (tmp_path / "fault").write_text("seal.begun=fail")
        await twins.do("commit", "main", wait=False)
        row = twins.engine.branch("main")
        live = twins.engine.machines.live[row.id]
        async with live.lock:
            shortening = asyncio.create_task(shorten(twins.engine, row.head, live.machine.layers[:-1]))
            await asyncio.sleep(0)
            await twins.crash("main")
        await shortening
        assert len(live.machine.layers) > 1 and not [*twins.engine.home.chains.iterdir()]


async def test_the_newest_is_kept_unless_nothing_was_written() -> None:
    async with home() as twins:
        write(twins, "/root/first")
        await twins.crash("main")
        first = twins.engine.branch("main").crash
        await twins.do("resume", "main")
        await twins.crash("main")
        assert twins.engine.branch("main").crash == first
        await twins.do("resume", "main")
        write(twins, "/root/second")
        await twins.crash("main")
        assert await differing(twins, "main", "main@crash") == ["/root/second"]
        second = twins.engine.branch("main").crash
        assert first and second and set(twins.store.layers()) == set(second.layers)


async def test_it_goes_when_it_is_pruned() -> None:
    async with home() as twins:
        write(twins, "/root/late")
        await twins.crash("main")
        with pytest.raises(UsageError, match="prune it apart"):
            await twins.do("prune", ("main", "main@crash"))
        done = await twins.do("prune", ("main@crash",))
        assert done.summary == "prune main@crash" and not done.undoable
        assert twins.engine.branch("main").crash is None and twins.store.layers() == {}
        with pytest.raises(NotFound, match="has no crash disk"):
            await twins.do("prune", ("main@crash",))


async def test_it_comes_back_from_the_trash_with_its_branch_and_goes_with_it_for_good() -> None:
    async with home() as twins:
        write(twins, "/root/late")
        await twins.crash("main")
        await twins.do("prune", ("main",))
        await free(twins.engine)
        await twins.do("undo")
        assert await differing(twins, "main", "main@crash") == ["/root/late"]
        await twins.do("prune", ("main",), now=True)
        assert twins.store.layers() == {}


async def test_what_it_lies_on_stays_whatever_is_pruned() -> None:
    async with home() as twins:
        catalog, golden = twins.engine.catalog, twins.engine.branch("main").head
        await twins.do("fork", "main", 1)
        await settled(twins)
        write(twins, "/root/late", "b1")
        await twins.crash("b1")
        base = twins.engine.crash_disk("b1").base
        assert base != golden
        await twins.do("restore", "main", golden)
        catalog.change_branch(twins.engine.branch("b1").id, head=golden)
        images = {image.golden for image in catalog.images()}
        for commit in [commit for commit in catalog.commits() if commit.id not in images]:
            catalog.delete_commit(commit.id)
            twins.store.release(commit.id)
        await settled(twins)
        await free(twins.engine)
        assert base in twins.store.commits()
        assert "/root/late" in await differing(twins, "main", "b1@crash")


async def test_one_that_is_damaged_is_kept_and_said() -> None:
    async with home() as twins:
        write(twins, "/root/late")
        layer: Path = twins.store.layer_path(twins.machine("main").layers[-1])
        layer.write_bytes(layer.read_bytes()[:100])
        await twins.crash("main")
        assert twins.engine.branch("main").state is BranchState.LOST and twins.engine.branch("main").crash
        with pytest.raises(VertuiError, match="too short for a qcow2 header"):
            await compare.diff(twins.engine, "main", "main@crash")
        layer.unlink()
        [problem] = await upkeep.check(twins.engine, 0)
        assert "main@crash lacks its layer" in problem.what


async def test_recover_boots_from_it_when_told_and_what_it_comes_from_is_not_thinned() -> None:
    async with home() as twins:
        engine, main = twins.engine, twins.engine.branch("main").id
        write(twins, "/root/late")
        await twins.crash("main")
        with pytest.raises(UsageError, match="give it alone"):
            await twins.do("recover", "main", from_crash_disk=True, replay=True)
        done = await twins.do("recover", "main", from_crash_disk=True)
        assert done.from_crash_disk and done.branch.state is BranchState.RUNNING
        assert engine.acting.of(main).changed, "what it has is in no commit"
        head = engine.catalog.commit(engine.crash_disk("main").head)
        engine.catalog.put_commit(replace(head, checkpoint=Trigger.IDLE))
        engine.catalog.change_branch(main, parent=None)
        await twins.do("suspend", "main")
        for operation in engine.catalog.operations():
            engine.catalog.change_operation(operation.id, undoable=False)
        row, nothing = engine.catalog.branch(main), CheckpointPolicy(keep_last=0, hourly=0)
        assert thin(engine, row, nothing) == 0
        row = engine.catalog.change_branch(main, crash=None)
        assert thin(engine, row, nothing) == 1


async def test_a_branch_without_a_machine_boots_from_it() -> None:
    async with home() as twins:
        write(twins, "/root/late")
        await twins.crash("main")
        row = twins.engine.branch("main")
        await twins.do("cold-boot", "main")
        crash, machine = twins.engine.crash_disk("main"), twins.machine("main")
        assert twins.engine.branch("main").state is BranchState.RUNNING
        assert twins.engine.branch("main").head == row.head and crash == row.crash
        assert machine.disk_base == crash.base and machine.layers[:-1] == crash.layers
        assert await differing(twins, "main@crash", "main") == []
        with pytest.raises(Conflict, match="a boot would end that"):
            await twins.do("cold-boot", "main")
        made = (await twins.do("commit", "main", "all of it")).commit
        await settled(twins)
        assert await differing(twins, row.head, made.id) == ["/root/late"]
        assert set(crash.layers) <= set(twins.store.layers())
        await twins.do("prune", ("main@crash",))
        assert not set(crash.layers) & set(twins.store.layers())
