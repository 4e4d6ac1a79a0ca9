"""Branches put into a catalog by hand, before a daemon reads it."""

import time

from msgspec.structs import replace

from core.catalog import Catalog
from core.catalog_values import BranchRow
from core.engine.context import new_id
from core.home import Home
from core.model import BranchState, CommitState


def put(home: Home, name: str, state: BranchState, head: CommitState) -> None:
    """A branch as a daemon may find it: without a machine, its head one commit after the golden one or that itself."""
    catalog = Catalog(home.catalog)
    [image] = catalog.images()
    number = catalog.free_number()
    commit = image.golden
    if head is CommitState.GONE:
        golden = catalog.commit(image.golden)
        commit = f"{number:064x}"
        catalog.put_commit(replace(golden, id=commit, parents=(golden.id,), branch=name, state=head))
    catalog.put_branch(
        BranchRow(
            new_id(), name, state, "for a test", image.id, commit, image.golden, None, time.time(), number
        )
    )
    catalog.close()
