"""Names as the host resolves them: what it has written down counts first, then servers, then whatever else it asks."""

import asyncio
import os
from pathlib import Path
from typing import Any, cast

from core.engine.host_names import HostNames
from core.network import dns
from core.network.resolver import Resolver
from tests.outside import answer_to

HOSTS = b"""127.0.0.1 localhost
10.1.2.3 mirror.corp Mirror  # ours
10.1.2.4\tmirror.corp
::1 six
bad line
\xff\xfe
10.1.2.5 here.corp.
"""


class Anybody:
    """May ask for all; remembers what was tied."""

    def __init__(self) -> None:
        self.tied: dict[str, tuple[str, ...]] = {}

    def address_of(self, branch: str) -> str | None:
        return None

    async def wake(self, branch: str) -> None:
        """All are awake."""

    def branch_at(self, address: str) -> str | None:
        return None

    async def may_ask(self, name: str, port: int, protocol: str) -> bool:
        return True

    async def tie(self, name: str, addresses: tuple[str, ...], ttl_s: int) -> None:
        self.tied[name] = addresses


class Own:
    """A host's names."""

    def written(self, name: str) -> tuple[str, ...]:
        return ("10.1.2.3", "10.1.2.4") if name == "mirror.corp" else ()

    async def known(self, name: str) -> tuple[str, ...]:
        return ("10.1.2.9",) if name == "near.local" else ()


def test_a_hosts_file_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    names = HostNames(cast(Any, None), path)
    assert names.written("mirror.corp") == ()
    path.write_bytes(HOSTS)
    assert names.written("mirror.corp") == ("10.1.2.3", "10.1.2.4") and names.written("mirror") == (
        "10.1.2.3",
    )
    assert (
        names.written("here.corp") == ("10.1.2.5",) and names.written("six") == names.written("nobody") == ()
    )
    path.write_bytes(b"10.9.9.9 mirror.corp\n")
    os.utime(path, ns=(1, 1))
    assert names.written("mirror.corp") == ("10.9.9.9",)


async def test_they_are_answered_and_tied_as_others_are() -> None:
    asked: list[str] = []

    class Upstream(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            one = dns.question(data)
            asked.append(one.name)
            self.transport.sendto(answer_to(one, {"server.test": "192.0.2.1"}.get(one.name)), addr)

    loop, client = asyncio.get_running_loop(), Anybody()
    transport, _ = await loop.create_datagram_endpoint(Upstream, ("127.0.0.1", 0))
    resolver = Resolver(lambda address: client, transport.get_extra_info("sockname"), Own())

    async def addresses(name: str) -> tuple[str, ...]:
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        question = dns.HEADER.pack(7, dns.RECURSION_DESIRED, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"
        answer = await resolver.answer(("10.77.0.1", 4000), question, tcp=False)
        assert answer is not None and dns.answers(answer, 7, dns.question(question))
        return dns.addresses(answer, dns.question(question)).addresses

    assert await addresses("mirror.corp") == ("10.1.2.3", "10.1.2.4") and asked == []
    assert await addresses("server.test") == ("192.0.2.1",)
    assert await addresses("near.local") == ("10.1.2.9",) and await addresses("nobody.test") == ()
    assert client.tied == {
        "mirror.corp": ("10.1.2.3", "10.1.2.4"),
        "server.test": ("192.0.2.1",),
        "near.local": ("10.1.2.9",),
    }
    transport.close()
