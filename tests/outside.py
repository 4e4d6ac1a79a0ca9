"""What is outside of a hub: a network namespace with servers of the test's own, where a porter and `pasta` run.

hub ── eg0 ── pasta (of a real porter) ── outside: 198.51.100.2, .3 on a link of its own, and loopback
"""

import contextlib
import hashlib
import os
import socket
import ssl
import struct
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path

from core import linux
from core.daemon.start import ensure_daemon
from core.home import Home
from core.network import dns, namespace
from tests.network.guest import iproute

SERVER, OTHER, RESOLVER = "198.51.100.2", "198.51.100.3", "127.0.0.1"
PORTS = (80, 443)
SITE, CLEAR_SITE = 8443, 8080
ZONE = {"server.test": SERVER, "same.test": SERVER, "a.below.test": OTHER, "evil.test": "169.254.169.254"}
HOSTS = f"127.0.0.1 localhost\n{OTHER} only.here\n{SERVER} mirror.here\n"
MIRROR_PORT = 8080
MS_BIND, MS_REC, MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18


@dataclass
class Servers:
    """Servers, and what of them was reached: all that got there, by whatever protocol."""

    namespace_fd: int
    accepted: list[socket.socket] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def serve(self) -> None:
        """Servers of TCP on two addresses, of UDP, and of names on loopback; in threads of the world."""
        for place in product((SERVER, OTHER), PORTS):
            self._begin(self._accept, namespace.inside(self.namespace_fd, partial(_tcp, place)))
        self._begin(self._hear, namespace.inside(self.namespace_fd, lambda: _udp((SERVER, 80))))
        self._begin(self._answer, namespace.inside(self.namespace_fd, lambda: _udp((RESOLVER, 53))))
        self._begin(self._sniff, namespace.inside(self.namespace_fd, _icmp))

    def serve_sites(self, context: ssl.SSLContext) -> None:
        """Web servers on two addresses, with TLS and without, that say what they were sent (`WebSite`)."""
        for address, (port, tls) in product((SERVER, OTHER), ((SITE, True), (CLEAR_SITE, False))):
            made = namespace.inside(self.namespace_fd, partial(WebServer, (address, port), WebSite))
            if tls:
                made.socket = context.wrap_socket(
                    made.socket, server_side=True, do_handshake_on_connect=False
                )
            threading.Thread(target=made.serve_forever, daemon=True).start()

    def _begin(self, work: Callable[[socket.socket], None], sock: socket.socket) -> None:
        threading.Thread(target=work, args=(sock,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            self.accepted.append(connection)
            self._begin(_echo, connection)

    def _hear(self, sock: socket.socket) -> None:
        while True:
            data, sender = sock.recvfrom(2048)
            self.heard.append(data)
            sock.sendto(data, sender)

    def _sniff(self, sock: socket.socket) -> None:
        while True:
            packet = sock.recv(2048)
            if packet[20] == 8:
                self.heard.append(b"ping")

    def _answer(self, sock: socket.socket) -> None:
        """The host's own resolver: A records, one server's name being another name of a third."""
        while True:
            data, sender = sock.recvfrom(4096)
            asked = dns.question(data)
            self.asked.append(asked.name)
            sock.sendto(answer_to(asked, ZONE.get(asked.name)), sender)


class WebServer(ThreadingHTTPServer):
    """Whose clients may be as they are."""

    def handle_error(self, *_: object) -> None:
        """Nor is it said."""


class WebSite(BaseHTTPRequestHandler):
    """Answers with the digest of the credentials that it got, and with these themselves."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Any request of a browser."""
        told = self.headers["Authorization"] or ""
        body = f"{hashlib.sha256(told.encode()).hexdigest()} {told}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nowhere."""


def answer_to(asked: dns.Query, address: str | None, ttl_s: int = 5) -> bytes:
    """A record for the question's name, if there is an address; by way of another name."""
    other = b"\x05other\x04test\x00"
    records = b""
    if address:
        records = b"\xc0\x0c" + struct.pack("!HHIH", dns.CNAME, 1, ttl_s, len(other)) + other
        records += other + struct.pack("!HHIH", dns.A, 1, ttl_s, 4) + socket.inet_aton(address)
    flags = dns.RESPONSE | dns.RECURSION_DESIRED | dns.RECURSION_AVAILABLE
    return dns.HEADER.pack(asked.id, flags, 1, 2 if address else 0, 0, 0) + asked.section + records


def furnish() -> int:
    """Make this process's network namespace the outside, and go into a mount namespace where its resolver is known; the
    descriptor of the former.
    """
    namespace.write_sysctl("ipv4/ping_group_range", "0 2147483647")  # as systemd has it
    with iproute() as ip:
        ip.link("set", ifname="lo", state="up")
        ip.link("add", ifname="ext0", kind="veth", peer={"ifname": "ext1", "state": "up"}, state="up")
        index = ip.link_lookup(ifname="ext0")[0]
        for address in (SERVER, OTHER):
            ip.addr("add", index=index, address=address, prefixlen=24)
        ip.route("add", gateway="198.51.100.1")
    _cover({"/etc/resolv.conf": f"nameserver {RESOLVER}\nsearch below.test\n", "/etc/hosts": HOSTS})
    return namespace.open_of_process()


@contextmanager
def started_outside(home: Home, also: Callable[[Servers], None] = lambda _: None) -> Iterator[None]:
    """A holder and a daemon of a home, started where the servers are, and `also` something before: in a process that
    ends with the body.
    """
    ready, tell_ready = os.pipe()
    wait, end = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        try:
            linux.unshare(linux.CLONE_NEWNET)
            servers = Servers(furnish())
            servers.serve()
            also(servers)
            ensure_daemon(home)
            os.write(tell_ready, b"1")
            os.close(end)
            os.read(wait, 1)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(tell_ready)
    try:
        assert os.read(ready, 1) == b"1", "no daemon came up"
        yield
    finally:
        for descriptor in (ready, wait, end):
            os.close(descriptor)
        os.waitpid(keeper, 0)


def _cover(files: dict[str, str]) -> None:
    """Have other texts in these files, in a mount namespace of this process's own."""
    linux.unshare(linux.CLONE_NEWNS)
    _mount(b"none", b"/", MS_REC | MS_PRIVATE)
    for path, text in files.items():
        with tempfile.NamedTemporaryFile("w") as told:
            told.write(text)
            told.flush()
            Path(told.name).chmod(0o644)
            _mount(told.name.encode(), path.encode(), MS_BIND)


def _mount(source: bytes, target: bytes, flags: int) -> None:
    linux.checked(linux.libc.mount(source, target, None, flags, None), f"mounting {target!r}")


def serve_files(_: Servers, directory: Path) -> None:
    """By HTTP, as a mirror does."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(directory))
    server = ThreadingHTTPServer((SERVER, MIRROR_PORT), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def _tcp(place: tuple[str, int]) -> socket.socket:
    return socket.create_server(place, backlog=2048)


def _udp(place: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(place)
    return sock


def _icmp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def _echo(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := connection.recv(4096):
            connection.sendall(data)
