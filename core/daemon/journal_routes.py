"""The API's routes for reading journals: lines as they are found, and what a look at all of them says."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse

from core.codec import encode
from core.engine.context import Engine
from core.journal.entry import JournalCheck, JournalEntry

Number = Annotated[int, Query(ge=0, le=10**15)]


class EntryLines(StreamingResponse):
    """A line an entry; an empty one now and then, where nothing is found."""

    media_type = "application/x-ndjson"
    lines = (JournalEntry,)


def add_journals(app: FastAPI, engine: Engine) -> None:
    """Add them to the application."""

    @app.get("/v1/journal")
    async def journal(
        branch: str, first: Number = 0, count: Number = 0, whole: bool = False, follow: bool = False
    ) -> EntryLines:
        row = engine.branch(branch)
        return EntryLines(_sent(engine.journals.show(row.id, first, count, whole=whole, follow=follow)))

    @app.get("/v1/journal/grep")
    async def grep(branch: str, text: str) -> EntryLines:
        return EntryLines(_sent(engine.journals.grep(engine.branch(branch).id, text)))

    @app.get("/v1/journal/verify")
    async def verify(branch: str = "") -> list[JournalCheck]:
        rows = [engine.branch(branch)] if branch else engine.catalog.branches()
        return await engine.journals.verify(rows)


async def _sent(found: AsyncIterator[Sequence[JournalEntry]]) -> AsyncIterator[bytes]:
    yield b"\n"
    async for some in found:
        yield b"".join(json.dumps(encode(entry)).encode() + b"\n" for entry in some) or b"\n"
