"""The bodies of the API's requests: what a client may send, and its bounds."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

Name = Field(max_length=200)
Word = Annotated[str, Name]
Path = Annotated[str, Field(max_length=16_384)]  # four times what a guest can name, for what is escaped in it


class BuildImage(BaseModel):
    """Build an image."""

    name: str = Name
    memory_bytes: int = 512 << 20
    vcpus: int = 1
    disk_bytes: int = 4 << 30
    packages: list[Word] = Field([], max_length=10_000)
    accelerator: Literal["kvm", "tcg"] | None = None


class Apply(BaseModel):
    """Bring one state's file changes into a branch; `prefer` decides clashes."""

    source: str = Name
    target: str = Name
    paths: list[Path] = Field([], max_length=10_000)
    prefer: Literal["ours", "theirs"] | None = None


class PlanPromote(BaseModel):
    """Plan a promotion."""

    branch: str = Name
    prune_losers: bool = False


class PlanPrune(BaseModel):
    """Plan a pruning."""

    targets: list[Word] = Field(max_length=10_000)
    now: bool = False


class PlanRemoveImage(BaseModel):
    """Plan removing an image."""

    image: str = Name


class Execute(BaseModel):
    """Carry out a plan."""

    plan: str = Name


class RestoreTrash(BaseModel):
    """Bring something back from the trash."""

    entry: str = Name


class Change(BaseModel):
    """Change a setting; None for its default."""

    key: str = Name
    value: str | None = Field(None, max_length=200)


class Nothing(BaseModel):
    """A verb without arguments."""


class Gc(BaseModel):
    """Free what nothing needs; with `cache` also what images are built of."""

    cache: bool = False


class StopAll(BaseModel):
    """End every machine; `now` leaves out the commits that would let them be resumed."""

    now: bool = False
