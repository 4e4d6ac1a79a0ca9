"""QMP, the QEMU machine protocol: JSON lines over a Unix socket, QEMU's failures mapped to ours.

A client of our own because it lies in every pause: it costs 0.02 ms a command beside QEMU's 0.13, and commands can be
sent without waiting for the answers of those before them. QEMU answers in order. Source: docs/interop/qmp-spec.txt.
"""

import asyncio
import json
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from core.async_sockets import connect
from core.errors import MachineFailed
from core.files import want_of_means
from core.patience import patient

COMMAND_DEADLINE_S = patient(30.0)  # a command takes milliseconds; a host that swaps may take seconds
READ_BYTES = 64 * 1024

Answer = asyncio.Future[Any]


class EventData(TypedDict, total=False):
    """What is read of an event."""

    status: str
    action: str


class QmpError(TypedDict):
    """Why a command was refused."""

    desc: str


QmpMessage = TypedDict(
    "QmpMessage", {"event": str, "data": EventData, "error": QmpError, "return": object}, total=False
)  # that QEMU sends: an event with its data, or what came of a command


class RunState(TypedDict):
    """What query-status answers."""

    running: bool
    status: str


class Monitor:
    """The connection to one QEMU."""

    def __init__(self, name: str, stalled: Callable[[str], None]) -> None:
        """`stalled` is called with its name when a machine stops because its disk could not be written."""
        self.name = name
        self._stalled = stalled
        self._unwritten = False
        self._socket: socket.socket | None = None
        self._rest = b""
        self._answers: deque[tuple[str, Answer]] = deque()
        self._migration: asyncio.Queue[str] = asyncio.Queue()
        self._descriptors = asyncio.Lock()

    async def connect(self, path: Path) -> None:
        """Connect and negotiate. MachineFailed when QEMU is not there."""
        try:
            self._socket = await connect(path)
        except OSError as error:
            failure = MachineFailed(f"machine {self.name} does not answer: {error.strerror}")
            raise want_of_means(error, f"machine {self.name}") or failure from error
        greeting = self._expect("connect")
        asyncio.get_running_loop().add_reader(self._socket, self._ready)
        await greeting
        await self.execute("qmp_capabilities")

    def send(self, command: str, /, descriptor: int | None = None, **arguments: Any) -> Answer:
        """Send a command now; await the answer when it is needed. Underscores in argument names stand for hyphens.

        MachineFailed, from the answer, when QEMU refuses, is gone or hangs.
        """
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        message = _message({"execute": command} | ({"arguments": named} if named else {}))
        descriptors = [] if descriptor is None else [descriptor]
        answer = self._expect(command)
        try:
            if self._socket is None or socket.send_fds(self._socket, [message], descriptors) < len(message):
                self._lose()
        except OSError:  # also when the socket is full: QEMU has read nothing for hundreds of commands
            self._lose()
        return answer

    async def execute(self, command: str, /, **arguments: Any) -> Any:
        """A command's result."""
        return await self.send(command, **arguments)

    async def execute_with(self, descriptor: int, command: str, /, **arguments: Any) -> Any:
        """A command that takes a descriptor (getfd, add-fd). One at a time: QEMU keeps only the last that came."""
        async with self._descriptors:
            return await self.send(command, descriptor, **arguments)

    async def expect_devices(self) -> None:
        """Settings for `load_devices`, sent long before it: report progress, and announce no address on the network.
        While a loaded machine waits, announcements would pile up in its queue.
        """
        reporting = self.send(
            "migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}]
        )
        await self.execute("migrate-set-parameters", announce_rounds=0)
        await reporting

    async def load_devices(self, descriptor: int) -> None:
        """Load the device state behind a descriptor of QEMU's own, and wait until it is loaded."""
        self._migration = asyncio.Queue()
        await self.execute("migrate-incoming", uri=f"fd:{descriptor}")
        try:
            async with asyncio.timeout(COMMAND_DEADLINE_S):
                while (status := await self._migration.get()) != "completed":
                    if status == "failed":
                        raise MachineFailed(f"machine {self.name} cannot load the device state")
                    if not status:
                        raise MachineFailed(f"machine {self.name} ended while loading the device state")
        except TimeoutError as error:
            raise MachineFailed(f"machine {self.name} hangs loading the device state") from error

    def close(self) -> None:
        """Hang up; idempotent."""
        self._lose()

    def _expect(self, command: str) -> Answer:
        """The answer that comes after those that are expected already."""
        loop = asyncio.get_running_loop()
        answer: Answer = loop.create_future()
        deadline = loop.call_later(COMMAND_DEADLINE_S, self._fail, command, answer)
        answer.add_done_callback(lambda _: deadline.cancel())
        answer.add_done_callback(_seen)
        self._answers.append((command, answer))
        return answer

    def _fail(self, command: str, answer: Answer, problem: str = "ended or hangs at") -> None:
        if not answer.done():
            answer.set_exception(MachineFailed(f"machine {self.name} {problem} {command}"))

    def _ready(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES) if self._socket else b""
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._received(json.loads(line))
        except BlockingIOError:
            return
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
        ):  # what it says is no QMP: it is not to be trusted
            data = b""
        if not data:
            self._lose()

    def _received(self, message: QmpMessage) -> None:
        if "event" in message:
            self._happened(message["event"], message.get("data", {}))
            return
        command, answer = self._answers.popleft()
        if "error" in message:
            self._fail(command, answer, f"refused: {message['error']['desc']}: at")
        elif not answer.done():
            answer.set_result(message.get("return"))

    def _happened(self, event: str, data: EventData) -> None:
        """Take note of an event. QEMU tells of a write that failed before it stops the machine for it."""
        if event == "MIGRATION":
            self._migration.put_nowait(data["status"])
        elif event == "BLOCK_IO_ERROR" and data["action"] == "stop":
            self._unwritten = True
        elif event == "STOP" and self._unwritten:
            self._unwritten = False
            self._stalled(self.name)

    def _lose(self) -> None:
        """Close the line; whatever waits for an answer fails."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        self._migration.put_nowait("")
        while self._answers:
            self._fail(*self._answers.popleft())


def _message(command: object) -> bytes:
    """A command in as few bytes as can be: QEMU reads them one by one, at some microseconds each."""
    return json.dumps(command, separators=(",", ":")).encode() + b"\n"


def _seen(answer: Answer) -> None:
    """Look at an answer's error, lest asyncio report one that nobody waits for any more."""
    if not answer.cancelled():
        answer.exception()
