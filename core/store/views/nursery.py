"""The nursery: has imported what a view server needs, and forks one whenever the holder asks. It has nothing to lose.

To import takes half a second and more beside busy machines, and all of them may wait for a successor. The holder is the
parent of what is forked here. If the nursery is dead or not ready, the holder starts a server from nothing.

    nursery → holder   READY once it can fork; then the pid of each server, and READY again
    holder → nursery   GO, with the descriptors a server has as 1 and 2, 3, 4 …
"""

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from core.patience import patient

READY, GO = b"ready", b"go"
MOST_DESCRIPTORS = 8
FIRST_HIGH = 64  # descriptors are moved above this before they take their places
ANSWER_S = patient(1.0)  # to fork takes 2 ms; one that is stopped must not hold up the holder


def ask(nursery: socket.socket, descriptors: Sequence[int]) -> int | None:
    """A server's pid, the first of its descriptors being its log; None when the nursery cannot. For the holder.

    TimeoutError when it takes so long that it must go: it would fork later on, when another server has the place.
    """
    try:
        if nursery.recv(16, socket.MSG_DONTWAIT) == READY:
            socket.send_fds(nursery, [GO], descriptors)
            nursery.settimeout(ANSWER_S)
            return int(nursery.recv(16))
    except TimeoutError:
        raise
    except (OSError, ValueError):
        pass
    return None


def main() -> None:
    """`python -m core.store.views.nursery MODULE:FACTORY ROOT`, with the holder's socket as descriptor 3."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a fork has one thread, so there must be only one
    from core import linux
    from core.store.views import server

    holder = socket.socket(fileno=3)
    factory = server.factory(sys.argv[1])
    while True:
        holder.send(READY)
        data, descriptors, _, _ = socket.recv_fds(holder, 16, MOST_DESCRIPTORS)
        if data != GO:
            return
        if pid := linux.fork_sibling():
            for descriptor in descriptors:
                os.close(descriptor)
            holder.send(str(pid).encode())
            continue
        linux.die_with_parent(signal.SIGKILL)
        holder.detach()
        _place(descriptors)
        server.serve(factory(Path(sys.argv[2])))
        return


def _place(descriptors: Sequence[int]) -> None:
    """Give a new server its descriptors and no others."""
    os.setsid()
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, FIRST_HIGH) for descriptor in descriptors]
    places = [high[0], *high]
    for number, descriptor in enumerate(places, 1):
        os.dup2(descriptor, number)
    os.closerange(1 + len(places), os.sysconf("SC_OPEN_MAX"))


if __name__ == "__main__":
    main()
