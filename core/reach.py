"""Egress: what of the outside a branch may reach, how people write that, and what it covers.

HOST[:PORT[/udp]]     a name; without a port all of it, with one TCP unless told
*.HOST[:PORT[/udp]]   every name below one
CIDR[:PORT[/udp]]     an IPv4 network, or one address
@apt, @pip, @npm, @git    servers that the guest is configured for (`core.engine.groups` puts them in their place)
"""

import ipaddress
import re
from enum import StrEnum

from msgspec import Struct

from core.errors import UsageError

GROUPS = ("@apt", "@pip", "@npm", "@git")
MOST_DESTINATIONS = 256  # of one branch: each is a rule that packets pass
LONGEST_NAME = 253  # RFC 1035, as text
RULE = re.compile(r"(?P<host>[^:\s]+)(?::(?P<port>\d{1,5})(?:/(?P<protocol>tcp|udp))?)?", re.ASCII)
NAME = re.compile(
    r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII
)
NUMERIC = re.compile(r"[0-9./]+", re.ASCII)


class ReachMode(StrEnum):
    """What of the outside a branch may reach: nothing, what is named, or everything."""

    OFF = "off"
    ALLOW = "allow"
    OPEN = "open"


class Destination(Struct, frozen=True):
    """Somebody outside: a name, `*.NAME` for all names below one, or an IPv4 network; at one port, or at any (0).

    `protocol` is tcp or udp; with any port it is empty, for all there are.
    """

    host: str
    port: int = 0
    protocol: str = ""


class Reach(Struct, frozen=True):
    """What of the outside a branch may reach; `to` are the destinations of mode allow."""

    mode: ReachMode = ReachMode.OFF
    to: tuple[Destination, ...] = ()


NOWHERE = Reach()


class Traffic(Struct, frozen=True):
    """What went between a branch and the outside, both ways, since its machine started; `refused` are packets that were
    not let out, and names that were not looked up.
    """

    packets: int = 0
    bytes: int = 0
    refused: int = 0


class Attempt(Struct, frozen=True):
    """A destination that a branch tried to reach and may not: how often in the last hour, and when last. `host` is a
    name where that is known, else an address; a name that was not looked up has a port where that is known, or guessed.
    `process` is NAME[PID] of who tried, as the guest tells.
    """

    host: str
    port: int
    protocol: str
    times: int
    last: float
    process: str = ""

    @property
    def to(self) -> Destination:
        """What would have to be allowed."""
        return Destination(self.host, self.port, self.protocol)


def destination(text: str) -> Destination:
    """What a rule says; UsageError when it says nothing."""
    match = RULE.fullmatch(text.strip())
    if match is None:
        raise _none(text)
    port = int(match["port"] or 0)
    if match["port"] is not None and not 1 <= port <= 65535:
        raise UsageError(f"'{text[:60]}' has no port: give 1 to 65535")
    protocol = match["protocol"] or ("tcp" if port else "")
    return Destination(_host(match["host"]), port, protocol)


def spelled(to: Destination) -> str:
    """A destination as people write it."""
    port = f":{to.port}" if to.port else ""
    return f"{to.host}{port}{'/udp' if to.protocol == 'udp' else ''}"


def in_words(reach: Reach) -> str:
    """What may be reached, as it is asked for."""
    return " ".join((str(reach.mode), *map(spelled, reach.to)))


def network(to: Destination) -> ipaddress.IPv4Network | None:
    """The network of a destination that is one."""
    return ipaddress.IPv4Network(to.host) if NUMERIC.fullmatch(to.host) else None


def is_group(to: Destination) -> bool:
    """Does it stand for servers that only a guest's configuration tells?"""
    return to.host in GROUPS


def names(to: Destination, name: str) -> bool:
    """Is this name, in lower case and without a last dot, of the destination?"""
    return name.endswith(to.host[1:]) if to.host.startswith("*.") else name == to.host


def is_name(text: str) -> bool:
    """Is it one as hosts have? Of what a guest asks for, only such a one goes further, and becomes part of rules."""
    return len(text) <= LONGEST_NAME and not text.startswith("*") and NAME.fullmatch(text) is not None


def covers(reach: Reach, wanted: Destination) -> bool:
    """Does a rule say that this may be reached? A network covers what is in it, a name what it was written for."""
    if reach.mode is not ReachMode.ALLOW:
        return reach.mode is ReachMode.OPEN
    return any(_within(to, wanted) for to in reach.to)


def added(reach: Reach, to: tuple[Destination, ...]) -> Reach:
    """What may be reached when this may be, too; UsageError when that are too many rules."""
    if reach.mode is ReachMode.OPEN:
        return reach
    every = tuple(dict.fromkeys((*reach.to, *to)))
    if len(every) > MOST_DESTINATIONS:
        raise UsageError(f"a branch has at most {MOST_DESTINATIONS} rules, these would be {len(every)}")
    return Reach(ReachMode.ALLOW, every)


def may_ask(reach: Reach, name: str) -> bool:
    """May a name be looked up?"""
    if not is_name(name):
        return False
    if reach.mode is ReachMode.ALLOW:
        return any(names(to, name) for to in reach.to)
    return reach.mode is ReachMode.OPEN


def with_groups(mode: str, rules: tuple[str, ...]) -> Reach:
    """What is asked for, groups left in it; UsageError when that makes no sense."""
    if mode != ReachMode.ALLOW or not any(rule in GROUPS for rule in rules):
        return of_mode(mode, rules)
    to = (Destination(rule) if rule in GROUPS else destination(rule) for rule in rules)
    return Reach(ReachMode.ALLOW, tuple(dict.fromkeys(to)))


def without_groups(reach: Reach) -> Reach:
    """What is known of a rule before a guest can be asked."""
    to = tuple(one for one in reach.to if not is_group(one))
    return NOWHERE if reach.mode is ReachMode.ALLOW and not to else Reach(reach.mode, to)


def of_mode(mode: str, rules: tuple[str, ...]) -> Reach:
    """What is asked for; UsageError when that makes no sense."""
    if mode == ReachMode.ALLOW and not rules:
        raise UsageError("allow whom? give HOST[:PORT[/udp]], *.HOST or CIDR, one or more")
    if mode != ReachMode.ALLOW and rules:
        raise UsageError(f"'{rules[0][:60]}' is for `allow`: `{mode[:20]}` takes no rule")
    return Reach(ReachMode(mode), tuple(dict.fromkeys(map(destination, rules))))


def _within(to: Destination, wanted: Destination) -> bool:
    if wanted.port and to.port and (to.port, to.protocol) != (wanted.port, wanted.protocol):
        return False
    outer, inner = network(to), network(wanted)
    if outer is None or inner is None:
        return names(to, wanted.host)
    return inner.subnet_of(outer)


def _host(text: str) -> str:
    if NUMERIC.fullmatch(text):
        try:
            found = ipaddress.IPv4Network(text)
        except ValueError as error:
            raise UsageError(f"'{text[:60]}' is no IPv4 address or network: {error}") from error
        return str(found.network_address if found.prefixlen == 32 else found)
    name = text.lower().removesuffix(".")
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise _none(text)
    return name


def _none(text: str) -> UsageError:
    return UsageError(f"'{text[:60]}' is no destination: give HOST[:PORT[/udp]], *.HOST or CIDR")
