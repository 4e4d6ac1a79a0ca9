"""The store's own verbs: what it holds, whether it is whole, and getting space back."""

import asyncio
import math

from core.codec import encode
from core.engine import crashes, space
from core.engine.changes import only_of
from core.engine.context import Engine
from core.engine.operations import operation
from core.engine.rebuild import find_manifests, rebuild_catalog
from core.engine.tally import counting
from core.engine.trash import free
from core.errors import UsageError
from core.graph import Graph
from core.model import CommitState, Plan
from core.room import MARGIN_BYTES, free_bytes
from core.space import BranchSpace, CommitSpace, StoreProblem, StoreSpace
from core.store.usage import CommitGroup


async def du(engine: Engine) -> StoreSpace:
    """What every commit and branch takes in the store, and what pruning it would free."""
    groups = _branches(engine)
    found = await asyncio.to_thread(engine.store.du, groups)
    commits = tuple(CommitSpace(commit, **encode(space)) for commit, space in found.commits.items())
    branches = tuple(
        BranchSpace(name, len(groups[name].commits), **encode(space)) for name, space in found.groups.items()
    )
    totals = (found.packs_bytes, found.index_bytes, found.records_bytes)
    ratios = (round(found.dedup, 3), round(found.compression, 3))
    left = sum(row.crash.size_bytes for row in engine.crashed() if row.crash)
    taken = await asyncio.to_thread(space.taken, engine)
    return StoreSpace(commits, branches, *totals, *ratios, crash_bytes=left, **taken)


def _branches(engine: Engine) -> dict[str, CommitGroup]:
    """Each branch's commits, and those that only it needs."""
    rows = engine.catalog.branches()
    graph = Graph((*engine.catalog.commits(), *engine.catalog.commits(deleted=True)))
    return {
        row.name: CommitGroup(
            frozenset(graph.ancestors(row.head)),
            frozenset(commit.id for commit in only_of(engine, [row.id])),
        )
        for row in rows
    }


async def check(engine: Engine, read_data_percent: float) -> list[StoreProblem]:
    """Everything that is not as it was written; nothing is changed."""
    if not 0 <= read_data_percent <= 100:
        raise UsageError(f"{read_data_percent:g} is no percentage: give 0 to 100")
    with counting(engine, "checking the store") as told:
        problems = await asyncio.to_thread(engine.store.check, read_data_percent, told)
    commits = [c for deleted in (False, True) for c in engine.catalog.commits(deleted=deleted)]
    known = {commit.id for commit in commits if commit.state is CommitState.SEALED}
    rows = [StoreProblem(f"the catalog is not as it was written: {what}") for what in engine.catalog.check()]
    rows += [
        StoreProblem(f"commit {commit[:12]} has a row and is not in the store", commit)
        for commit in sorted(known - set(engine.store.commits()))
    ]
    rows += [StoreProblem(what) for what in crashes.problems(engine)]
    return rows + [StoreProblem(p.what, p.commit, p.medium, p.page) for p in problems]


async def gc(engine: Engine, request_id: str, *, cache: bool = False) -> int:
    """Free what no commit, in the trash or not, needs, rewrite packs of which little is needed where there is room for
    that, and do what `space.clear` does; bytes freed.
    """
    with engine.reserve.lent():
        async with operation(engine, request_id, "store gc", "store gc"):
            async with engine.verbs.changing:
                cleared = await space.clear(engine, cache=cache)
            return cleared + await free(engine) + await _rewritten(engine, _room(engine))


async def plan_gc(engine: Engine, *, cache: bool = False) -> Plan:
    """What gc would free now. It needs no plan to run: nothing it frees can be asked for."""
    keep = frozenset(row.id for deleted in (False, True) for row in engine.catalog.commits(deleted=deleted))
    marked = await asyncio.to_thread(engine.store.mark, keep | engine.bases())
    found = await asyncio.to_thread(engine.store.layers)  # first: a new one is needed before it is there
    layers = sum(found[layer] for layer in found.keys() - engine.layers_needed())
    lines = [f"commit {commit[:12]} goes: it was never acknowledged" for commit in marked.leftover]
    sparse = await asyncio.to_thread(engine.store.would_free, marked, _room(engine))
    lines += ["packs go that hold no page any commit needs"] if marked.frees_bytes else []
    lines += ["packs are written anew of which little is needed"] if sparse else []
    lines += ["disk layers go that no machine has"] if layers else []
    journals = engine.journals.left_bytes()
    lines += ["journals go that no branch has any more"] if journals else []
    cleared, more = await space.clearing(engine, cache=cache)
    frees, lines = marked.frees_bytes + sparse + layers + journals + cleared, lines + more
    return Plan(
        "", "store gc", (), marked.leftover, frees, False, tuple(lines) or ("there is nothing to free",)
    )


async def rebuild(engine: Engine, request_id: str) -> list[str]:
    """Make the store's index again from its packs, and the catalog's missing rows from manifests; what was found."""
    async with engine.verbs.changing, operation(engine, request_id, "store rebuild", "store check --rebuild"):
        with counting(engine, "making the index again") as told:
            await asyncio.to_thread(engine.store.rebuild, told)
        with counting(engine, "finding commits again") as told:
            found = await asyncio.to_thread(find_manifests, engine.store, told)
        lines = rebuild_catalog(engine, found)
    for kind in ("image", "branch", "commit"):
        engine.events.publish(kind, "", "the catalog was made again")
    return lines


async def compact(engine: Engine, request_id: str) -> int:
    """Rewrite packs with little live data; bytes freed."""
    with engine.reserve.lent():
        async with operation(engine, request_id, "store compact", "store compact"):
            return await _rewritten(engine, math.inf)


async def _rewritten(engine: Engine, room_bytes: float) -> int:
    with counting(engine, "rewriting packs") as told:
        return await asyncio.to_thread(engine.store.compact, told, room_bytes)


def _room(engine: Engine) -> int:
    """How much may be written before any comes back: nothing on a full disk."""
    return free_bytes(engine.home.root) - engine.reserve.size_bytes - MARGIN_BYTES
