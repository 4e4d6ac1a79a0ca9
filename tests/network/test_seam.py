"""`BranchNetwork` and `Network`: what the kernel's networks and their twins both do."""

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from core.errors import Conflict, NoRoom, VertuiError
from core.network import HubNetwork
from core.network.addresses import MAX_INDEX, address_of
from core.network.protocol import BranchNetwork
from tests.network.isolation import run_isolated
from tests.twins.network import TwinHub

Body = Callable[[BranchNetwork], None]


def on_both(body: Body) -> Any:
    """A test of it on each."""

    def real() -> None:
        hub = HubNetwork()
        hub.prepare()
        body(hub)

    @pytest.mark.parametrize("kind", ["kernel", "twin"])
    def test(kind: str) -> None:
        if kind == "twin":
            body(TwinHub())
        else:
            run_isolated(real, user=os.geteuid() != 0)

    return test


def _made(hub: BranchNetwork) -> None:
    hub.prepare()
    second, first = hub.create(2), hub.create(1)
    assert hub.list() == (1, 2) and (first.index, second.index) == (1, 2)
    assert first.info.address == address_of(1) and first.info.namespace != second.info.namespace
    assert first.tap_fd is not None and first.namespace_fd >= 0
    with pytest.raises(Conflict):
        hub.create(1)
    with pytest.raises(NoRoom):
        hub.create(MAX_INDEX + 1)
    for _ in range(2):
        first.close()
    assert hub.list() == (2,)
    hub.create(1).close()
    second.close()
    assert hub.list() == ()


def _adopted(hub: BranchNetwork) -> None:
    made = hub.create(7)
    kept, other = os.dup(made.namespace_fd), hub.create(8)
    with pytest.raises(Conflict):
        hub.adopt(8, kept)
    found = hub.adopt(7, kept)
    assert found.info == made.info and found.tap_fd is None
    with found.outward_socket() as way:
        assert way.type is socket.SOCK_STREAM
    found.set_link(True)
    found.close()
    with pytest.raises(VertuiError):
        found.outward_socket()
    assert hub.list() == (8,)
    made.close()
    other.close()


def _switched(hub: BranchNetwork) -> None:
    network = hub.create(3)
    network.set_link(True)
    first = network.info.tap
    assert os.fstat(network.second_tap()).st_ino >= 0
    network.switch()
    assert network.info.tap != first
    for _ in range(2):
        network.drop_second_tap()
    network.second_tap()
    network.switch()
    assert network.info.tap == first
    for _ in range(2):
        network.reset()
    network.set_link(False)
    network.close()
    for use in (network.second_tap, network.switch, lambda: network.set_link(True)):
        with pytest.raises(VertuiError):
            use()


def _swept(hub: BranchNetwork) -> None:
    networks = [hub.create(index) for index in (1, 5, 9)]
    assert hub.sweep({5}) == (1, 9)
    assert hub.list() == (5,) and hub.sweep({5}) == ()
    for network in networks:
        network.close()
    assert hub.list() == ()


def _paired(hub: BranchNetwork) -> None:
    hub.prepare()
    network = hub.create(1)
    for pairs in ({(1, 2), (1, 3)}, {(1, 3), (2, 3)}, {(1, 3), (2, 3)}, frozenset[tuple[int, int]]()):
        hub.set_pairs(pairs)
        hub.prepare()
    hub.set_pairs({(1, 2)})
    network.close()
    assert hub.list() == ()


test_a_network_is_made_once_and_closed = on_both(_made)
test_a_network_is_adopted_by_its_namespace = on_both(_adopted)
test_taps_change_places = on_both(_switched)
test_what_is_not_kept_is_swept = on_both(_swept)
test_pairs_are_let_whether_they_have_networks_or_not = on_both(_paired)
