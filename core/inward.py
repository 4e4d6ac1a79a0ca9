"""Values that say how the host reaches guests: published ports, and hosts as ssh knows them."""

from enum import StrEnum

from msgspec import Struct

HOST_SUFFIX = ".vertui"  # behind the name of a branch where hosts are named


class PortProtocol(StrEnum):
    """What goes through a port."""

    TCP = "tcp"
    UDP = "udp"


class PublishedPort(Struct, frozen=True):
    """A port of a guest that is reached from the host, at `host_port` of `address`. `branch` is a branch's name; @trunk
    means the trunk's, and @proxy any, by the name in each request. `reason` says why nobody gets in now.
    """

    branch: str
    guest_port: int
    protocol: PortProtocol
    address: str
    host_port: int
    reason: str = ""


class GuestPort(Struct, frozen=True):
    """A port of a branch: the address in the guest that somebody listens on there, empty when nobody does or the guest
    cannot tell; the program, as far as the guest tells; and where it is published.
    """

    port: int
    protocol: PortProtocol
    listening: str = ""
    command: str = ""
    published: PublishedPort | None = None


class Published(Struct, frozen=True):
    """Ports as they are published from now on, or, when they are not `open` any more, were until now."""

    ports: tuple[PublishedPort, ...]
    operation: int
    open: bool = True


class SshHost(Struct, frozen=True):
    """A branch as ssh knows it: by which name, and with which host key."""

    name: str
    key: str


def host_of(branch: str) -> str:
    """The name of a branch among hosts."""
    return f"{branch}{HOST_SUFFIX}"
