"""An engine of a home with a catalog and a reserve, and nothing that runs: for tests of what is written down."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from core.catalog import Catalog
from core.catalog_values import BranchRow
from core.engine.context import Engine
from core.home import find_home
from core.model import BranchState, Commit, CommitState, Image, MachineSpec
from core.room import Reserve
from tests.twins.engine import twin_tasks

SPEC = MachineSpec("pc-q35-7.2", "Nehalem-v1", "tcg", 1 << 29, 1, 1 << 30)
GOLDEN, HEAD = "ab" * 20, "cd" * 20


@contextmanager
def engine_of(directory: Path, reserve: type[Reserve] = Reserve) -> Iterator[Engine]:
    """An engine whose catalog has an image, its golden commit, and a hot child of that."""
    home = find_home(str(directory / "home"))
    home.root.mkdir()
    catalog, none = Catalog(home.catalog), cast(Any, None)
    engine = Engine(home, catalog, none, none, none, none, none, reserve(home.reserve, lambda: 0))
    engine.tasks = twin_tasks(engine, none)
    golden = Commit(GOLDEN, "ef" * 20, (), "", "base-1", "golden", 1.5, CommitState.SEALED, True)
    catalog.put_commit(golden)
    head = replace(golden, id=HEAD, parents=(GOLDEN,), branch="main", state=CommitState.HOT)
    catalog.put_commit(head)
    catalog.put_image(Image("base-1", "base", SPEC, GOLDEN, 1.0))
    yield engine
    catalog.close()


def put(engine: Engine, name: str, state: BranchState, head: str = GOLDEN) -> BranchRow:
    """A branch in that state, with its name as its id."""
    number = engine.catalog.free_number()
    row = BranchRow(name, name, state, "", "base-1", head, GOLDEN, None, time.time(), number)
    engine.catalog.put_branch(row)
    return row
