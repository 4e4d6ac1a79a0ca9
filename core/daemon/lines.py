"""Answers of the API that are a line a value, read as they come."""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Generic, TypeVar

from core.codec import decode
from core.daemon.connection import DaemonConnection, Patience, failure
from core.daemon.endpoint import Endpoint, no_answer
from core.errors import DaemonUnavailable, VertuiError
from core.holder.ask import Silent

PIECE_BYTES = 64 << 10

T = TypeVar("T")


class LineStream(Generic[T]):
    """The values of an answer, until its end or `close`. A refusal is raised at once, not with the first of them;
    DaemonUnavailable when the daemon goes away, which is the end of an `endless` one.
    """

    def __init__(
        self, endpoint: Endpoint, path: str, cls: type[T], patience: Patience, *, endless: bool = False
    ) -> None:
        self._cls, self._endless = cls, endless
        self._connection = DaemonConnection(endpoint, patience)
        self._closed = False
        try:
            self._connection.request("GET", path)
            self._response = self._connection.getresponse()
            if self._response.status >= 400:
                raise failure(self._response.read())
            self._lines = _lines(self._response)
            next(self._lines, b"")  # an empty one: from here on nothing is missed
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise DaemonUnavailable(no_answer(endpoint)) from error
        except VertuiError:
            self._connection.close()
            raise

    def __iter__(self) -> Iterator[T]:
        broken: Exception | None = None
        try:
            for line in self._lines:
                if line:
                    yield decode(self._cls, json.loads(line))
        except (OSError, ValueError, http.client.HTTPException, Silent) as error:
            broken = error
        finally:
            self._response.close()
            self._connection.close()
        if self._closed:
            return
        if self._endless:
            raise DaemonUnavailable("the daemon went away") from broken
        if broken:
            raise DaemonUnavailable(
                "the daemon broke its answer off: `vertui daemon logs` says why"
            ) from broken

    def close(self) -> None:
        """End the stream, from any thread: a reader blocked in it returns."""
        self._closed = True
        with contextlib.suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The lines of an answer without their ends; IncompleteRead where it was broken off, which `readline` hides."""
    rest = b""
    while data := response.read1(PIECE_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
