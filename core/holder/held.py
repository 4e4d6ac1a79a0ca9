"""The daemon's side of the holder: requests by one connection, exits by another."""

import asyncio
import errno
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from core.errors import DaemonUnavailable, MachineFailed, NoRoom
from core.holder.ask import connect_holder
from core.holder.confine import Confinement
from core.holder.protocol import Holdings
from core.holder.server import LARGEST_MESSAGE, MOST_DESCRIPTORS
from core.holder.wire import HolderAnswer, HolderRequest
from core.home import Home
from core.log import REQUEST
from core.patience import patient

logger = logging.getLogger(__name__)

ANSWER_S = patient(60.0)  # the holder answers at once, unless somebody stopped it


class HolderLine:
    """`Held` by requests to the holder's process, one after the other."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._socket: socket.socket | None = connect_holder(home, ANSWER_S)
        self._lock = threading.Lock()
        self._watch: socket.socket | None = None

    def close(self) -> None:
        """Leave the holder; idempotent."""
        for connection in (self._socket, self._watch):
            if connection:
                connection.close()

    def spawn(
        self,
        key: str,
        argv: Sequence[str],
        log: Path,
        descriptors: Sequence[int],
        nursery: str = "",
        confined: Confinement | None = None,
    ) -> int:
        """Start a child that finds `descriptors` as 3, 4, …; its pid. MachineFailed when it cannot be started.

        It is forked by the `nursery` behind the socket kept under that name, if that can; one that is `confined` never.
        """
        request: HolderRequest = {
            "do": "spawn",
            "key": key,
            "argv": list(argv),
            "log": str(log),
            "nursery": nursery,
        }
        if confined is not None:
            request["confined"] = asdict(confined)
        return self._started(request, descriptors)

    def serve(self, key: str, argv: Sequence[str], log: Path, kept: Sequence[str], nursery: str) -> int:
        """Have such a child run from now on, another whenever it ends, also while there is no daemon; its pid.

        `kept` are the names of its descriptors. One that runs already goes on.
        """
        request: HolderRequest = {
            "do": "serve",
            "key": key,
            "argv": list(argv),
            "log": str(log),
            "nursery": nursery,
        }
        return self._started({**request, "kept": list(kept)})

    def kill(self, key: str) -> None:
        """End a child at once; nothing happens when it has ended."""
        self._ask({"do": "kill", "key": key})

    def keep(self, key: str, descriptor: int) -> None:
        """Have a descriptor outlive this daemon. The caller's own copy stays the caller's."""
        self._ask({"do": "keep", "key": key}, [descriptor])

    def get(self, key: str) -> int | None:
        """A new descriptor for what was kept under `key`, or None. NoRoom when this process can have no more."""
        answer, received = self._ask({"do": "get", "key": key})
        if not received and "absent" not in answer:
            raise NoRoom(f"{key} cannot be taken over for want of descriptors: raise `ulimit -n`")
        return next(iter(received), None)

    def drop(self, key: str) -> None:
        """Close what was kept under `key`."""
        self._ask({"do": "drop", "key": key})

    def holdings(self) -> Holdings:
        """All that is held; exits are told once."""
        answer, _ = self._ask({"do": "list"})
        return Holdings(answer["children"], frozenset(answer["kept"]), answer["exits"], answer["pid"])

    def rest(self) -> None:
        """Do not start the daemon again when it ends."""
        self._ask({"do": "rest"})

    def watch(self, on_exit: Callable[[str, int], None]) -> None:
        """Call `on_exit(key, status)` on the running event loop for each child that ends from now on.

        The holder drops who does not read for long. It keeps the exits that it told nobody: they are asked for then.
        """
        watch = self._watch = connect_holder(self._home, ANSWER_S)
        watch.sendall(json.dumps({"do": "watch"}).encode())
        watch.recv(LARGEST_MESSAGE)  # the answer: exits are told from here on
        watch.setblocking(False)
        loop = asyncio.get_running_loop()

        def ready() -> None:
            try:
                message = watch.recv(LARGEST_MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if message:
                fields = json.loads(message)
                on_exit(fields["exit"], fields["status"])
                return
            loop.remove_reader(watch)
            watch.close()
            self.watch(on_exit)
            for key, status in self.holdings().exits.items():
                on_exit(key, status)

        loop.add_reader(watch, ready)

    def _started(self, request: HolderRequest, descriptors: Sequence[int] = ()) -> int:
        answer, _ = self._ask(request, descriptors)
        if "error" in answer:
            raise MachineFailed(f"cannot start {Path(request['argv'][0]).name}: {answer['error']}")
        return int(answer["pid"])

    def _ask(self, request: HolderRequest, descriptors: Sequence[int] = ()) -> tuple[HolderAnswer, list[int]]:
        logger.debug("holder: %s %s", request["do"], request.get("key", ""))
        if REQUEST.get():
            request = {**request, "request": REQUEST.get()}
        try:
            with self._lock:
                data, received = self._exchange(json.dumps(request).encode(), descriptors)
        except TimeoutError as error:
            raise DaemonUnavailable(
                f"the holder does not answer within {ANSWER_S:.0f} s: is it stopped?"
            ) from error
        except OSError as error:
            raise DaemonUnavailable(f"the holder went away: {error.strerror}") from error
        for descriptor in received:
            os.set_inheritable(descriptor, False)
        return json.loads(data), received

    def _exchange(self, request: bytes, descriptors: Sequence[int]) -> tuple[bytes, list[int]]:
        """A message there and one back. A connection that failed goes, lest a late answer be taken for the next one's:
        whoever asks then connects again.
        """
        connection, self._socket = self._socket or connect_holder(self._home, ANSWER_S), None
        try:
            socket.send_fds(connection, [request], descriptors)
            data, received, _, _ = socket.recv_fds(connection, LARGEST_MESSAGE, MOST_DESCRIPTORS)
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        except OSError:
            connection.close()
            raise
        self._socket = connection
        return data, received
