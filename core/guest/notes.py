"""Notes as the host gets them: what programs of a guest say for its branch's journal, asked for piece by piece."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.guest.answers import NotePiece, malformed

MOST_ASKED = (
    128  # answers for one note: of the longest there are 32, and a few may be of one that was given up
)


@dataclass(frozen=True)
class GuestNote:
    """What a program said; `id` names it for its agent. Nothing of it is to be trusted."""

    id: str
    kind: str
    author: str
    text: str


async def put_together(ask: Callable[[int], Awaitable[NotePiece]]) -> GuestNote | None:
    """The note that waits longest, None when none does; `ask` is given how much of its text is there. GuestFailed when
    the answers make no note.
    """
    text, id = b"", ""
    for _ in range(MOST_ASKED):
        piece = await ask(len(text))
        if not piece.id:
            return None
        if id not in ("", piece.id):  # whoever said the other one has left
            text, id = b"", ""
            continue
        data, id = _bytes(piece.data), piece.id
        text += data
        if len(text) > piece.size or not (data or len(text) == piece.size):
            raise malformed("a note of another length than it has")
        if len(text) == piece.size:
            return GuestNote(id, piece.kind, piece.author, text.decode(errors="replace"))
    raise malformed("a note without an end")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise malformed("a note that is no base64") from error
