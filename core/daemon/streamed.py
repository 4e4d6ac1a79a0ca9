"""Long answers, sent as they are made."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from fastapi import Response
from fastapi.responses import StreamingResponse


class Octets(Response):
    """Bytes that are no text."""

    media_type = "application/octet-stream"


class OctetStream(StreamingResponse):
    """The same, as they are made."""

    media_type = "application/octet-stream"


async def streamed(source: AbstractAsyncContextManager[AsyncIterator[bytes]]) -> OctetStream:
    """An answer sent as it is made: what is refused at its beginning is still refused as everything else is."""
    stack = AsyncExitStack()
    pieces = await stack.enter_async_context(source)

    async def send() -> AsyncIterator[bytes]:
        async with stack:
            async for piece in pieces:
                yield piece

    return OctetStream(send())
