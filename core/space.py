"""What commits, branches and the store take on disk, and what of the store is not as it was written."""

from msgspec import Struct


class CommitSpace(Struct, frozen=True):
    """What a commit takes: its nonzero pages; what those take stored; the part others use too; what pruning frees."""

    commit: str
    logical_bytes: int
    stored_bytes: int
    shared_bytes: int
    unique_bytes: int


class BranchSpace(Struct, frozen=True):
    """What a branch takes with all the commits its head comes from; `unique_bytes` is what pruning the branch frees."""

    branch: str
    commits: int
    logical_bytes: int
    stored_bytes: int
    shared_bytes: int
    unique_bytes: int


class StoreSpace(Struct, frozen=True):
    """The store's size, and what the home takes beside it. `dedup` is logical pages to distinct ones, `compression`
    distinct pages to what they take; of `layers_bytes` crash disks have `crash_bytes`.
    """

    commits: tuple[CommitSpace, ...]
    branches: tuple[BranchSpace, ...]
    packs_bytes: int
    index_bytes: int
    records_bytes: int
    dedup: float
    compression: float
    images_bytes: int = 0
    layers_bytes: int = 0
    crash_bytes: int = 0
    cache_bytes: int = 0
    journals_bytes: int = 0
    logs_bytes: int = 0
    reserve_bytes: int = 0


class StoreProblem(Struct, frozen=True):
    """Something in the store that is not as it was written, and the commit, medium and page it touches."""

    what: str
    commit: str = ""
    medium: str = ""
    page: int | None = None
