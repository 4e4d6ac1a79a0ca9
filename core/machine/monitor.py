"""QMP, the QEMU machine protocol, with its failures mapped to ours."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from qemu.qmp import ExecuteError, QMPClient, QMPError

from core.errors import MachineFailed

COMMAND_DEADLINE_S = 30.0  # a command takes milliseconds; a host that swaps may take seconds


class Monitor:
    """The connection to one QEMU."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._client = QMPClient(name)
        self._descriptors = asyncio.Lock()

    async def connect(self, path: Path) -> None:
        """Connect and negotiate. MachineFailed when QEMU is not there."""
        try:
            async with asyncio.timeout(COMMAND_DEADLINE_S):
                await self._client.connect(str(path))
        except (OSError, QMPError, EOFError, TimeoutError) as error:
            raise MachineFailed(f"machine {self._name} does not answer: {error}") from error

    async def execute(self, command: str, **arguments: Any) -> Any:
        """A QMP command's result; underscores in argument names stand for hyphens."""
        named: Mapping[str, object] = {name.replace("_", "-"): value for name, value in arguments.items()}
        try:
            async with asyncio.timeout(COMMAND_DEADLINE_S):
                return await self._client.execute(command, named or None)
        except ExecuteError as error:
            raise MachineFailed(f"machine {self._name} refused {command}: {error}") from error
        except (OSError, QMPError, EOFError, TimeoutError) as error:
            raise MachineFailed(f"machine {self._name} ended or hangs at {command}") from error

    async def execute_with(self, descriptor: int, command: str, **arguments: Any) -> Any:
        """A QMP command that takes the descriptor sent just before it (getfd, add-fd)."""
        async with self._descriptors:
            try:
                self._client.send_fd_scm(descriptor)
            except (OSError, QMPError) as error:
                raise MachineFailed(f"machine {self._name} ended or hangs at {command}") from error
            return await self.execute(command, **arguments)

    async def load_devices(self) -> None:
        """Load the device state behind the descriptor named `state`, and wait until it is loaded."""
        await self.execute("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
        with self._client.listener("MIGRATION") as events:
            await self.execute("migrate-incoming", uri="fd:state")
            try:
                async with asyncio.timeout(COMMAND_DEADLINE_S):
                    async for event in events:
                        status = cast(dict[str, Any], event["data"])["status"]
                        if status == "completed":
                            return
                        if status == "failed":
                            raise MachineFailed(f"machine {self._name} cannot load the device state")
            except TimeoutError as error:
                raise MachineFailed(f"machine {self._name} hangs loading the device state") from error
        raise MachineFailed(f"machine {self._name} ended while loading the device state")

    async def close(self) -> None:
        """Hang up; idempotent."""
        with contextlib.suppress(QMPError, OSError, EOFError, TimeoutError):
            async with asyncio.timeout(1):
                await self._client.disconnect()
