"""Whoever plays a swarm, ended: its branches and their commands stay, and it can be gone on with."""

import os
import select
import signal

from core.errors import Conflict, NotFound, VertuiError
from core.home import Home
from vertui.swarm.glance import player_of
from vertui.swarm.record import path_of

ENDS_S = 5.0  # for a process to end by itself, before the next signal
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)  # whoever began it may have had it ignore the first


def stop(home: Home, name: str) -> None:
    """End the process that plays a swarm. Conflict when none does, NotFound when there is no such swarm."""
    if not path_of(home, name).exists():
        raise NotFound(f"there is no swarm {name}: `vertui swarm ls` lists them")
    pid = player_of(home, name)
    if not pid or pid == os.getpid():
        raise Conflict(f"nobody is at work at the swarm {name}: there is nothing to stop")
    try:
        player = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if player_of(home, name) == pid:  # it is still the one that was meant
            _end(player, pid)
    finally:
        os.close(player)


def _end(player: int, pid: int) -> None:
    poll = select.poll()
    poll.register(player, select.POLLIN)
    for number in SIGNALS:
        try:
            signal.pidfd_send_signal(player, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise VertuiError(f"the process {pid} that plays it is another user's") from error
        if poll.poll(ENDS_S * 1000):
            return
    raise VertuiError(f"the process {pid} that plays it does not end")
