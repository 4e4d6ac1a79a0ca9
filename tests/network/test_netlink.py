"""A batch of requests: what is refused is named, precisely, and the rest is carried out."""

import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import NoRoom
from core.network import HubNetwork, messages, netlink
from core.network.forms import Message
from core.network.messages import LOOPBACK_IFINDEX
from core.network.tap import open_tap
from tests.network.guest import iproute
from tests.network.isolation import descriptors, isolated


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Let this process open no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def refusal_of(*requests: Message) -> OSError:
    with pytest.raises(OSError) as refused:
        netlink.send(*requests)
    return refused.value


@isolated
def test_the_first_refusal_is_raised_and_what_follows_is_carried_out() -> None:
    before = descriptors()
    error = refusal_of(
        messages.address(ifindex=LOOPBACK_IFINDEX, ip="192.0.2.1", prefix=32),
        messages.delete_link(name="v7"),
        messages.address(ifindex=77, ip="192.0.2.2", prefix=32),
        messages.link_state(ifindex=LOOPBACK_IFINDEX, up=True),
    )
    assert (error.errno, error.strerror) == (errno.ENODEV, "removing link v7: No such device")
    with iproute() as ip:
        assert next(link.get("state") for link in ip.get_links()) == "up"
        assert "192.0.2.1" in [a.get("address") for a in ip.get_addr(family=socket.AF_INET)]
    assert descriptors() == before


@isolated
def test_each_place_in_a_batch_is_told_from_the_others() -> None:
    good = messages.link_state(ifindex=LOOPBACK_IFINDEX, up=True)
    for place in range(12):
        batch = [good] * 12
        batch[place] = messages.delete_link(name=f"v{place + 1}")
        assert f"removing link v{place + 1}: " in str(refusal_of(*batch))
    netlink.send(*[good] * 12)
    netlink.send()


@isolated
def test_a_veth_to_no_namespace_is_refused() -> None:
    inner = messages.End("up0", 101, "02:00:00:00:00:01")
    with Path("/dev/null").open() as nothing:
        made = messages.veth(
            inner=inner, name="v1", ifindex=1001, mac="02:00:00:00:00:02", descriptor=nothing.fileno()
        )
        assert (error := refusal_of(made)).errno == errno.EINVAL
    assert str(error.strerror).startswith("making veth v1: ")


@isolated
def test_without_a_descriptor_the_limit_is_named() -> None:
    hub = HubNetwork()
    hub.prepare()
    network = hub.create(1)
    with no_descriptors_left():
        with pytest.raises(NoRoom, match=r"link of 10\.77\.0\.1: Too many open files; .*ulimit -n"):
            network.set_link(True)
        with pytest.raises(OSError, match=r"Too many open files: '/dev/net/tun'"):
            open_tap("tap9", 9)
    network.set_link(True)
    network.close()
