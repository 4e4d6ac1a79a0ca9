"""How a program reaches a daemon."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from vertui.sdk.asynchronous import AsyncVertui
from vertui.sdk.away import away
from vertui.sdk.synchronous import SyncVertui

if TYPE_CHECKING:
    from core.daemon.endpoint import Endpoint
    from core.home import Home


class Connecting:
    """What `with` makes a SyncVertui of, and `async with` or `await` an AsyncVertui. There is nothing to be closed:
    each request has a connection of its own.
    """

    def __init__(self, find: Callable[[], Endpoint], author: str, *, starts: bool) -> None:
        self._find, self._author, self._starts = find, author, starts

    def connected(self) -> SyncVertui:
        """What blocks, at once."""
        from core.daemon.client import Client  # HTTP takes a third of all that there is to import
        from core.daemon.start import revive

        endpoint = self._find()
        if self._starts:
            revive(endpoint)
        return SyncVertui(Client(endpoint, starts=self._starts), self._author)

    def __enter__(self) -> SyncVertui:
        return self.connected()

    async def __aenter__(self) -> AsyncVertui:
        return AsyncVertui(await away(self.connected))

    def __await__(self) -> Generator[Any, None, AsyncVertui]:
        return self.__aenter__().__await__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to be done."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nor here."""


def connect(
    home: Home | Path | str | None = None,
    *,
    url: str | None = None,
    token: str | None = None,
    author: str | None = None,
    starts: bool = True,
) -> Connecting:
    """Reach the daemon of a home, of the usual one without any, or by its port: its `url` and a `token` (VERTUI_TOKEN's
    without one). A home's daemon is started unless it runs, or `starts` is False.

    `author` is who says and does what journals are told: VERTUI_AUTHOR's without one.
    """

    def find() -> Endpoint:
        from core.daemon.endpoint import find_endpoint, remote
        from core.home import Home, find_home

        if url is not None:
            return remote(url, token)
        if home is None:
            return find_endpoint()
        return home if isinstance(home, Home) else find_home(os.fspath(home))

    return Connecting(find, os.environ.get("VERTUI_AUTHOR", "") if author is None else author, starts=starts)
