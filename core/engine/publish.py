"""Publish, unpublish and proxy: ports of guests on the host, for branches, @trunk and children of forks."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from msgspec.structs import replace

from core.engine.change import Change
from core.engine.changes import apply
from core.engine.context import Engine
from core.engine.guests import listening
from core.engine.operations import operation
from core.engine.ports import wanted
from core.engine.seams import Wish
from core.errors import VertuiError
from core.inward import GuestPort, PortProtocol, Published, PublishedPort
from core.model import Child
from core.ports import INNER, LOOPBACK, PortRow, PortSpec, guest_side, leading_to, place
from core.refs import PROXY, TRUNK

MOST_SHOWN = 1000  # ports that a guest says it listens on
PRIVILEGED = 1024  # host ports below it are not taken unasked


async def publish(
    engine: Engine, request_id: str, branch: str, specs: Sequence[PortSpec], address: str
) -> Published:
    """Let the host reach ports of a branch, or of whichever is the trunk. Without a host port it is the same number as
    the guest's if that is free, or any that is. On failure none is published.
    """
    target = branch if branch == TRUNK else engine.branch(branch).id
    wishes = [Wish(target, spec.guest_port, spec.protocol, address, _host_ports(spec)) for spec in specs]
    return await _published(engine, request_id, "publish", branch, wishes)


async def proxy(engine: Engine, request_id: str, port: int, address: str) -> Published:
    """Lead requests for `http://PORT.BRANCH.localhost` to that port of that branch. On failure nothing changed."""
    wish = Wish(PROXY, 0, PortProtocol.TCP, address, (port,))
    return await _published(engine, request_id, "proxy", "", [wish])


async def unpublish(engine: Engine, request_id: str, verb: str, ports: Sequence[PublishedPort]) -> Published:
    """Let nobody in by these any more, and cut off who is."""
    shown = zip(wanted(engine), engine.tasks.ports.shown(), strict=True)
    ids = tuple(row.id for row, port in shown if port in ports)
    async with engine.verbs.changing, operation(engine, request_id, verb, _summary(verb, ports)) as record:
        record.inverse = await apply(engine, Change(unpublish=ids))
    return Published(tuple(ports), record.id, open=False)


async def published_of(
    engine: Engine, children: Iterable[Child], asked: Sequence[PortSpec] = ()
) -> tuple[Child, ...]:
    """The children, each with the ports that lead to its parent, and those that are asked for, on free host ports of
    its own. A single child may ask for a port of the host.
    """
    children = tuple(children)
    rows = [row for child in children if child.ok and (row := engine.catalog.named(child.name)) is not None]
    wishes = []
    for row in rows:
        given = {
            (spec.guest_port, spec.protocol): _host_ports(spec) if len(rows) == 1 else (0,) for spec in asked
        }
        wishes += [Wish(row.id, *port, LOOPBACK, host_ports) for port, host_ports in given.items()]
        wishes += [
            Wish(row.id, port.guest_port, port.protocol, port.address, (0,))
            for port in _of_branch(engine, row.parent_branch)
            if (port.guest_port, port.protocol) not in given
        ]
    told: dict[str, list[PublishedPort]] = {}
    with contextlib.suppress(VertuiError):  # the catalog takes no more rows: the children run all the same
        for port in await engine.tasks.ports.add(wishes, whole=False):
            name = engine.catalog.name_of(port.branch) or port.branch
            told.setdefault(name, []).append(port.shown(name))
    return tuple(replace(child, ports=tuple(told.get(child.name, ()))) for child in children)


async def ports_of(engine: Engine, name: str) -> list[GuestPort]:
    """A branch's published ports, and those that a program in its guest listens on, as far as the guest tells."""
    row, live = engine.branch(name), engine.machines.live.get(engine.branch(name).id)
    trunk = engine.catalog.name_of(engine.catalog.setting("trunk"))
    found = []
    if live is not None:
        with contextlib.suppress(VertuiError):  # it is paused, or does not answer
            found = sorted(await listening(live), key=lambda one: (one.port, one.protocol))[:MOST_SHOWN]
    heard: dict[tuple[int, str], GuestPort] = {}
    for (port, protocol), ways in groupby(found, key=lambda one: (one.port, one.protocol)):
        widest = max(ways, key=lambda one: not one.address.startswith(INNER))
        heard[port, protocol] = GuestPort(port, PortProtocol(protocol), widest.address, widest.command)
    for published in leading_to(row.name, trunk, engine.tasks.ports.shown()):
        key = published.guest_port, published.protocol.value
        known = heard.get(key) or GuestPort(published.guest_port, published.protocol)
        heard[key] = replace(known, published=published)
    return [heard[key] for key in sorted(heard)]


async def _published(
    engine: Engine, request_id: str, verb: str, branch: str, wishes: Sequence[Wish]
) -> Published:
    wanted = " ".join(str(wish.guest_port or wish.host_ports[0]) for wish in wishes)
    summary = " ".join(filter(None, (verb, branch, wanted)))
    async with engine.verbs.changing, operation(engine, request_id, verb, summary) as record:
        rows = await engine.tasks.ports.add(wishes)
        name = engine.catalog.name_of(rows[0].branch) or rows[0].branch
        ports = tuple(row.shown(name) for row in rows)
        record.summary, record.inverse = _summary(verb, ports), Change(unpublish=_ids(rows))
    return Published(ports, record.id)


def _summary(verb: str, ports: Sequence[PublishedPort]) -> str:
    """`publish main 3000 at 127.0.0.1:3000`."""
    name = "" if ports[0].branch == PROXY else ports[0].branch
    sides = (f"{guest_side(port)} at {place(port)}" if name else f"at {place(port)}" for port in ports)
    return " ".join(filter(None, (verb, name, ", ".join(sides))))


def _ids(rows: Iterable[PortRow]) -> tuple[str, ...]:
    return tuple(row.id for row in rows)


def _host_ports(spec: PortSpec) -> tuple[int, ...]:
    if spec.host_port is not None:
        return (spec.host_port,)
    return (0,) if spec.guest_port < PRIVILEGED else (spec.guest_port, 0)


def _of_branch(engine: Engine, branch: str | None) -> Iterator[PortRow]:
    """Those that lead to a branch now, one of each port of the guest."""
    names = (branch, TRUNK) if branch == engine.catalog.setting("trunk") else (branch,)
    found = (row for row in engine.catalog.ports() if branch is not None and row.branch in names)
    yield from {(row.guest_port, row.protocol): row for row in found}.values()
