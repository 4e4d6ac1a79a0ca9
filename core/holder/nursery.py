"""How the holder asks a nursery, a child of its that has made itself ready, to fork another child.

nursery → holder   READY once it can fork; then the pid of each child, and READY again
holder → nursery   GO, with the descriptors a child has as 1 and 2, 3, 4 …
"""

import socket
from collections.abc import Sequence

from core.patience import patient

READY, GO = b"ready", b"go"
MOST_DESCRIPTORS = 8
ANSWER_S = patient(1.0)  # to fork takes 2 ms; one that is stopped must not hold up the holder


def ask(nursery: socket.socket, descriptors: Sequence[int]) -> int | None:
    """A child's pid, the first of its descriptors being its log; None when the nursery cannot.

    TimeoutError when it takes so long that it must go: it would fork later on, when another child has the place.
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
