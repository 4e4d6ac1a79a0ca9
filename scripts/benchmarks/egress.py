"""`scripts/bench egress`: how long a change of a rule takes. What rules cost a fork, `scripts/bench fork` measures."""

import os
import select
import socket
import time
from functools import partial

from fork import RULES
from lab import lab
from report import Report, timed_ms

from core.reach import of_mode
from core.verbs.egress import Egress
from tests.guests import eventually
from tests.network.isolation import run_isolated
from tests.network.world import guest_of, world
from tests.outside import SERVER

CHANGES, CONNECTIONS = 20, 1000
RESET_MS = 100.0
LOW = 50  # descriptors that a change needs below 1024: both ends of all connections are in this process


def measure(quick: bool) -> Report:
    """Of a running branch; and what it does to connections, in a network without a machine."""
    report = Report("Egress")
    with lab("egress") as found:
        found.client.up("base", "main")
        counts = [1 + number % len(RULES) for number in range(5 if quick else CHANGES)]
        changes = [
            timed_ms(partial(found.client.do, Egress("main", "allow", RULES[:count]))) for count in counts
        ]
        report.add_samples("change of a rule", changes, timed="request sent to answer")
    resets = [_reset_ms() for _ in range(1 if quick else CHANGES)]
    report.add_samples(
        f"{CONNECTIONS // 2} connections of {CONNECTIONS} refused", resets, must=RESET_MS, promise=1,
        timed="the rule's change begun until the guest's end of the last is reset",
    )  # fmt: skip
    return report


def _reset_ms() -> float:
    reading, writing = os.pipe()
    run_isolated(partial(_tell_ms, writing), user=os.geteuid() != 0)
    with os.fdopen(reading, "rb") as told:
        os.close(writing)
        return float(told.read())


def _tell_ms(writing: int) -> None:
    os.write(writing, b"%f" % _changed_ms())


def _changed_ms() -> float:
    with world() as outside, guest_of(outside) as (network, guest):
        for rules in ((f"{SERVER}:443",), None):  # as a daemon that has changed some before
            network.set_reach(of_mode("open", ()) if rules is None else of_mode("allow", rules))
        low = [os.open("/dev/null", os.O_RDONLY) for _ in range(LOW)]
        opened = guest.inside(
            lambda: [socket.create_connection((SERVER, (80, 443)[n % 2]), 9) for n in range(CONNECTIONS)]
        )
        if not eventually(lambda: len(outside.accepted) == CONNECTIONS):
            raise SystemExit("not all of the connections were accepted")
        for descriptor in low:
            os.close(descriptor)
        began = time.perf_counter()
        network.set_reach(of_mode("allow", (f"{SERVER}:80",)))
        waiting = {connection.fileno() for connection in opened[1::2]}
        with select.epoll() as resets:
            for descriptor in waiting:
                resets.register(descriptor, 0)  # errors alone
            while waiting:
                waiting -= {descriptor for descriptor, _ in resets.poll()}
        took_ms = (time.perf_counter() - began) * 1000
        for connection in opened[::2]:
            connection.sendall(b"still there")
        if any(connection.recv(100) != b"still there" for connection in opened[::2]):
            raise SystemExit("a connection that is still allowed was cut")
        return took_ms
