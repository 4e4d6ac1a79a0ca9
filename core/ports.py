"""Ports as the catalog has them, as people write them, and what is said of published ones: shared by engine, verbs,
command line and UI.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.errors import UsageError
from core.inward import GuestPort, PortProtocol, PublishedPort
from core.refs import PROXY, TRUNK

LOOPBACK = "127.0.0.1"
EVERYWHERE = {
    "0.0.0.0": LOOPBACK,
    "::": "::1",
}  # how this machine itself reaches what listens on all addresses
LARGEST = 65535
INNER = ("127.", "[::1]")  # how addresses begin that only a guest itself reaches
WRITTEN = re.compile(r"(?:(?P<host>[0-9]{1,5}):)?(?P<guest>[0-9]{1,5})(?:/(?P<protocol>tcp|udp))?")


@dataclass(frozen=True)
class PortRow:
    """A published port: `host_port` of `address` leads to `guest_port` of a branch, named by its id; also while that is
    in the trash, when nobody gets in. @trunk and @proxy stand for branches that are looked up each time.
    """

    id: str
    branch: str
    guest_port: int
    protocol: PortProtocol
    address: str
    host_port: int
    created: float

    def shown(self, branch: str, reason: str = "") -> PublishedPort:
        """What the API shows of it, given the branch's name."""
        return PublishedPort(branch, self.guest_port, self.protocol, self.address, self.host_port, reason)


@dataclass(frozen=True)
class PortSpec:
    """A guest's port, and the one of the host that is to lead there; without one, any."""

    guest_port: int
    protocol: PortProtocol = PortProtocol.TCP
    host_port: int | None = None


def parse_port(text: str) -> PortSpec:
    """What `[HOST_PORT:]GUEST_PORT[/udp]` means; UsageError says what it may be."""
    found = WRITTEN.fullmatch(text)
    numbers = [int(found[name]) for name in ("guest", "host") if found[name]] if found else []
    if not found or not all(0 < number <= LARGEST for number in numbers):
        raise UsageError(
            f"'{text[:40]}' is no port: give [HOST_PORT:]GUEST_PORT[/udp], numbers from 1 to {LARGEST}"
        )
    return PortSpec(numbers[0], PortProtocol(found["protocol"] or "tcp"), *numbers[1:])


def check_address(text: str) -> str:
    """An address to listen on, as it is; UsageError when it is none."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(f"'{text[:40]}' is no IP address: give one of this host's, as {LOOPBACK}") from None
    return text


def place(port: PublishedPort) -> str:
    """Where it is reached: ADDRESS:PORT."""
    address = f"[{port.address}]" if ":" in port.address else port.address
    return f"{address}:{port.host_port}"


def guest_side(port: PublishedPort | GuestPort) -> str:
    """The guest's port as it is written."""
    number = port.guest_port if isinstance(port, PublishedPort) else port.port
    return f"{number}/udp" if port.protocol is PortProtocol.UDP else str(number)


def url(port: PublishedPort) -> str:
    """What a browser of this machine is given."""
    return f"{url_of(EVERYWHERE.get(port.address, port.address), port.host_port)}/"


def url_of(address: str, port: int) -> str:
    """The URL of what listens there."""
    return f"http://{f'[{address}]' if ':' in address else address}:{port}"


def parse_listener(text: str) -> tuple[str, int]:
    """What `[ADDRESS:]PORT` means; an address with colons is in brackets. UsageError says what it may be."""
    address, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= LARGEST):
        raise UsageError(f"'{text[:60]}' is no place to listen: give [ADDRESS:]PORT, as {LOOPBACK}:7080")
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    return (check_address(bare) if bare else LOOPBACK), int(port)


def check_listener(address: str, *, in_the_clear: bool) -> str:
    """An address to speak plain HTTP at, as the kernel says it; UsageError when others could read along, and nobody
    said that they may.
    """
    found = ipaddress.ip_address(check_address(address))
    if not (found.is_loopback or in_the_clear):
        raise UsageError(
            f"{found} is reached from elsewhere, and whoever is on the way reads along, tokens too (it is plain HTTP):"
            " add --in-the-clear if that is as it should be, or listen at 127.0.0.1 and come by `ssh -L`"
        )
    return str(found)


def names_this_machine(host: str) -> bool:
    """Is a request's Host an address, or the one name that nobody's DNS can lead elsewhere? Behind a tunnel its port is
    another.
    """
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def leading_to(branch: str, trunk: str | None, ports: Iterable[PublishedPort]) -> Iterator[PublishedPort]:
    """Those that lead to a branch now: its own, and of the trunk those of @trunk."""
    names = (branch, TRUNK) if branch == trunk else (branch,)
    return (port for port in ports if port.branch in names)


def proxy_of(ports: Iterable[PublishedPort]) -> PublishedPort | None:
    """The one that leads to every branch, by the name in each request."""
    return next((port for port in ports if port.branch == PROXY), None)
