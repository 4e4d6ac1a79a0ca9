"""The nursery: has imported what a view server needs, and forks one whenever the holder asks. It has nothing to lose.

To import takes half a second and more beside busy machines, and all of them may wait for a successor. The holder is the
parent of what is forked here. If the nursery is dead or not ready, the holder starts a server from nothing.
What the two say to each other is described in `core.holder.nursery`.
"""

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Sequence

from core.holder.nursery import GO, MOST_DESCRIPTORS, READY

FIRST_HIGH = 64  # descriptors are moved above this before they take their places


def main() -> None:
    """`python -m core.store.views.nursery MODULE:FACTORY ROOT DAMAGE`, with the holder's socket as descriptor 3."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a fork has one thread, so there must be only one
    from core import linux
    from core.log import log_as
    from core.store.views import server

    log_as("views")
    holder = socket.socket(fileno=3)
    server.factory(sys.argv[1])  # what it needs is imported by that
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
        server.serve(sys.argv[1:])
        return


def _place(descriptors: Sequence[int]) -> None:
    """Give a new server a group of its own, as `core.holder.spawn` does, and its descriptors and no others.

    Not a session of its own: to one just made the kernel may give no processor for half a second beside busy ones.
    """
    os.setpgid(0, 0)
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, FIRST_HIGH) for descriptor in descriptors]
    places = [high[0], *high]
    for number, descriptor in enumerate(places, 1):
        os.dup2(descriptor, number)
    os.closerange(1 + len(places), os.sysconf("SC_OPEN_MAX"))


if __name__ == "__main__":
    main()
