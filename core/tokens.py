"""Tokens that let their bearers in by the daemon's port: made by whoever hands them out, and known here by digest."""

import hashlib
import secrets

from msgspec import Struct

PREFIX = "vertui_"  # by which whoever finds one in a log knows what it opens
RANDOM_BYTES = 32
LONGEST = 200  # characters of what is looked at


class Token(Struct, frozen=True):
    """What lets somebody in by the daemon's port: its name, when it was made, and by how many connections its bearer is
    in now.
    """

    name: str
    created: float
    connections: int = 0


class NewToken(Struct, frozen=True):
    """A token, told once to whoever made it."""

    name: str
    token: str


def new_token() -> str:
    """One that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def digest(token: str) -> str:
    """What a home keeps of one: SHA-256, which for a random text is as good as anything slower."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
