"""What a guest's clock shows, beside this host's."""

import time

from core.daemon import streams
from core.model import ExecRequest
from tests.guests import Guest, eventually

TOLERANCE_S = 0.05
STAMPS = "for n in {1..20}; do echo $EPOCHREALTIME; sleep 0.02; done"


def behind(guest: Guest) -> float:
    """How far a guest's clock is behind ours in seconds, the way of its quickest stamp to us included."""
    least, text = float("inf"), b""
    request = ExecRequest(guest.name, ("bash", "-c", STAMPS))
    with streams.run(guest.client.home, request) as stream:
        for message in stream:
            if isinstance(message, streams.Output):
                text += message.data
                least = min([least, *(time.time() - float(stamp) for stamp in text.split(b"\n")[:-1])])
                text = text.rpartition(b"\n")[2]
    return least


def is_right(guest: Guest, ahead_s: float = 0.0) -> bool:
    """Soon, for a guest that was slow to answer: its clock is then set again. Fails with how far it was each time."""
    seen: list[float] = []

    def right() -> bool:
        seen.append(behind(guest) + ahead_s)
        return abs(seen[-1]) <= TOLERANCE_S

    assert eventually(right), f"{guest.name} was behind by {seen} s"
    return True
