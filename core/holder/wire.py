"""What is said between the holder and its clients, each message a JSON object: `core.holder.server` tells the rest."""

from typing import TypedDict


class HolderRequest(TypedDict, total=False):
    """What is asked for (`do`), what that needs, and the id of the `request` of a client's that it is part of."""

    do: str
    key: str
    argv: list[str]
    log: str
    nursery: str
    kept: list[str]
    confined: dict[str, int]
    request: str


class HolderAnswer(TypedDict, total=False):
    """What comes back: of a spawn or a serve `pid`, of a get `absent`, of a leave `leaving`, of a list and of the state
    all theirs; of what failed the `error`, of everything else nothing.
    """

    error: str
    pid: int
    absent: bool
    leaving: int
    children: dict[str, int]
    kept: list[str]
    exits: dict[str, int]
    daemon: int | None
    told: str
    beats: int
    resting: bool
    gave_up: bool
    log_from: int
