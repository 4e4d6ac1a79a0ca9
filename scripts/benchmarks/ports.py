"""`scripts/bench ports`: published ports: a fork's children on ports of their own, and the trunk's while it moves."""

import http.client
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from lab import Lab, lab
from report import Report, timed_ms

CHILDREN, REQUESTS, SAMPLES = 8, 1000, 100
ALL_ANSWER_S = 1.0
BODY_BYTES = 32 << 20
SERVER = """
import socket
listening = socket.create_server(("", 8000))
while True:
    peer, _ = listening.accept()
    try:  # what was open in the parent is reset in a child
        size = int(peer.recv(4096).split()[1][1:] or 0)
        body = bytes(size) if size else socket.gethostname().encode()
        peer.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    except (OSError, IndexError):
        pass
    peer.close()
"""
"""As little as can be: what a program in an emulated child does for the first time is translated anew."""

SERVES = "until ss -ltn | grep -q :8000; do sleep 0.1; done"


def measure(quick: bool) -> Report:
    """A web server in the guest is asked by this host's loopback."""
    children, requests = (2, 50) if quick else (CHILDREN, REQUESTS)
    report = Report("Published ports")
    with lab("ports") as found:
        found.client.up(None, "main")
        found.start("main", "python3", "-c", SERVER)
        found.text("main", "sh", "-c", SERVES)
        own, trunk = (found.client.publish(name, ("8000",)).ports[0].host_port for name in ("main", "@trunk"))
        with _asked(own, requests) as failed:
            _add_fork(report, found, children)
        report.add(
            f"failed of {requests} requests to the parent meanwhile", len(failed), "", must=0, promise=2
        )
        with _asked(trunk, requests) as failed:
            found.client.execute(found.client.plan_promote("f1"))
        report.add(f"failed of {requests} to @trunk while it is promoted", len(failed), "", must=0, promise=2)
        samples = [timed_ms(lambda: get(own)) for _ in range(10 if quick else SAMPLES)]
        report.add_samples(
            "a request by a published port", samples, timed="connect to the answer's last byte"
        )
        took_ms = timed_ms(lambda: get(own, f"/{BODY_BYTES}"))
        report.add("an answer of 32 MiB", BODY_BYTES / took_ms / 1000, "MB/s", at_least=True)
    return report


def _add_fork(report: Report, found: Lab, children: int) -> None:
    forked = found.fork("main", children)
    began = time.perf_counter()
    ports = {child.name: child.ports[0].host_port for child in forked.children}
    with ThreadPoolExecutor(children) as threads:
        answers = list(threads.map(get, ports.values()))
    report.add(
        f"all {children} children answer on their ports", time.perf_counter() - began, "s", must=ALL_ANSWER_S,
        promise=2, timed="return of fork to the last answer",
    )  # fmt: skip
    wrong = sum(answer != name.encode() for answer, name in zip(answers, ports, strict=True))
    report.add("of them answer as another", wrong, "", must=0, promise=2)
    report.add("fork with published ports", max(child.fork_ms for child in forked.children), "ms")


@contextmanager
def _asked(port: int, requests: int) -> Iterator[list[Exception]]:
    """Ask so many times, one after the other, meanwhile and afterwards; what failed."""
    failed: list[Exception] = []

    def ask() -> None:
        for _ in range(requests):
            try:
                get(port)
            except (OSError, http.client.HTTPException) as error:
                failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield failed
    finally:
        thread.join()


def get(port: int, path: str = "/") -> bytes:
    """What the server answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()
