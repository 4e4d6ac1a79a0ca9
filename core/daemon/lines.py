"""Answers of the API that are a line a value, read as they come."""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from typing import ClassVar, Generic, TypeVar

from core.codec import decode
from core.daemon.connection import DaemonConnection, Patience, failure
from core.daemon.endpoint import Endpoint, no_answer
from core.errors import DaemonUnavailable, VertuiError
from core.holder.ask import Silent

T = TypeVar("T")


class LineStream(Generic[T]):
    """The values of an answer, until its end or `close`. A refusal is raised at once, not with the first of them;
    DaemonUnavailable when the daemon goes away.
    """

    broken: ClassVar[str] = "the daemon broke its answer off: `vertui daemon logs` says why"

    def __init__(self, endpoint: Endpoint, path: str, cls: type[T], patience: Patience) -> None:
        self._cls = cls
        self._connection = DaemonConnection(endpoint, patience)
        self._closed = False
        try:
            self._connection.request("GET", path)
            self._response = self._connection.getresponse()
            if self._response.status >= 400:
                raise failure(self._response.read())
            self._response.readline()  # an empty one: from here on nothing is missed
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise DaemonUnavailable(no_answer(endpoint)) from error
        except VertuiError:
            self._connection.close()
            raise

    def __iter__(self) -> Iterator[T]:
        try:
            while line := self._response.readline():
                if line != b"\n":
                    yield decode(self._cls, json.loads(line))
        except (OSError, ValueError, http.client.HTTPException, Silent) as error:
            if not self._closed:
                raise DaemonUnavailable(self.broken) from error
        finally:
            self._response.close()
            self._connection.close()

    @property
    def closed(self) -> bool:
        """Was it closed?"""
        return self._closed

    def close(self) -> None:
        """End the stream, from any thread: a reader blocked in it returns."""
        self._closed = True
        with contextlib.suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)
