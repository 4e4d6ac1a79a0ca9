"""Egress on an engine of twins: what branches inherit, what is told of refusals, and what stays when it cannot be."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from core.engine import inspect, settings
from core.engine.attempts import tell_refused
from core.engine.context import FAULT
from core.engine.egress import traffic
from core.engine.groups import USUAL
from core.engine.names import Names, names_at
from core.engine.refusals import EXPECTED_S, MOST, TOLD_AGAIN_S, Refusals
from core.engine.wanted_port import configured, said_by, usual
from core.errors import Conflict, Unsupported, UsageError, VertuiError
from core.model import Event
from core.network.rules import TOLD_PER_S
from core.reach import NOWHERE, Attempt, Destination, Reach, ReachMode, Traffic, in_words, of_mode
from tests.twins.engine import TwinOutside, Twins, twin_engine
from vertui.widgets.detail import egress as shown
from vertui.widgets.detail import refused

Body = Callable[[Twins], Awaitable[None]]
RULE = of_mode("allow", ("a.org:80",))


def on_twins(body: Body) -> None:
    async def run(twins: Twins) -> None:
        twins.begin()
        try:
            await body(twins)
        finally:
            await twins.close()

    with twin_engine() as twins:
        asyncio.run(run(twins))


def reach_of(twins: Twins, name: str) -> Reach | None:
    """What a branch's network lets out; it is what its row says."""
    row = twins.engine.branch(name)
    found = twins.engine.machines.live[row.id].network.reach
    assert found == row.egress
    return found


async def inherit(twins: Twins) -> None:
    await twins.do("up")
    assert reach_of(twins, "main") == NOWHERE
    told = await twins.do("egress", "main", "allow", ("a.org:80",))
    assert (told.branch, told.egress, told.refused) == ("main", RULE, ())
    await twins.do("fork", "main", 2)
    assert reach_of(twins, "b1") == reach_of(twins, "b2") == RULE
    await twins.do("egress", "b1", "off")
    assert (reach_of(twins, "b1"), reach_of(twins, "b2"), reach_of(twins, "main")) == (NOWHERE, RULE, RULE)
    await twins.do("fork", "main~0", 1, "later")
    assert reach_of(twins, "later") == RULE
    settings.change(twins.engine, "egress.default", "1")
    await twins.do("up", None, "second")
    assert reach_of(twins, "second") == of_mode("open", ()) and reach_of(twins, "main") == RULE


def test_children_inherit_and_what_has_no_parent_has_the_homes_default() -> None:
    on_twins(inherit)


async def without_a_machine(twins: Twins) -> None:
    await twins.do("up")
    await twins.crash("main")
    told = await twins.do("egress", "main", "allow", ("@pip", "a.org"))
    assert in_words(told.egress) == f"allow {' '.join(USUAL['@pip'])} a.org" and told.traffic == Traffic()
    await twins.do("resume", "main")
    assert reach_of(twins, "main") == told.egress


def test_a_branch_without_a_machine_has_its_rule_when_it_runs_again() -> None:
    on_twins(without_a_machine)


class Broken(TwinOutside):
    """No way out."""

    async def open(self) -> None:
        raise Unsupported("there is no way out")


async def without_a_way_out(twins: Twins) -> None:
    await twins.do("up")
    await twins.do("fork", "main", 1)
    twins.engine.tasks.outside = Broken()
    with pytest.raises(Unsupported):
        await twins.do("egress", "main", "open")
    assert reach_of(twins, "main") == NOWHERE
    assert not [one for one in twins.engine.catalog.operations() if one.verb == "egress" and one.undoable]
    for mode, rules in (("allow", ()), ("allow", ("no destination",)), ("off", ("a.org",))):
        with pytest.raises(UsageError):
            await twins.do("egress", "main", mode, rules)
    await twins.do("egress", "main", "off")
    await twins.do("fork", "main", 1, "still")  # which needs none


def test_without_a_way_out_nothing_has_changed() -> None:
    on_twins(without_a_way_out)


async def that_fails_midway(twins: Twins) -> None:
    await twins.do("up")
    await twins.do("egress", "main", "allow", ("a.org:80",))
    fault = Path(os.environ[FAULT])
    fault.write_text("egress.let=fail")
    for verb, given in (("egress", ("main", "open")), ("undo", ())):
        with pytest.raises(Conflict, match=r"stopped at egress\.let"):
            await twins.do(verb, *given)
        assert reach_of(twins, "main") == RULE
    fault.unlink()
    await twins.do("undo")
    assert reach_of(twins, "main") == NOWHERE


def test_a_change_that_fails_midway_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAULT, str(tmp_path / "fault"))
    on_twins(that_fails_midway)


def told_of(queue: asyncio.Queue[Event | None]) -> list[str]:
    events = [queue.get_nowait() for _ in range(queue.qsize())]
    return [event.text for event in events if event and "may not reach" in event.text]


async def refusals(twins: Twins) -> None:
    await twins.do("up")
    live = twins.engine.machines.live[twins.engine.branch("main").id]
    queue = twins.engine.events.subscribe()
    asker = names_at(twins.engine, live.network.info.address)
    assert isinstance(asker, Names) and names_at(twins.engine, "10.77.99.99") is None
    twins.machine("main").guest.sockets["udp 4321"] = (7, "curl\n")
    assert [await asker.may_ask("a.org", 4321, "udp") for _ in range(3)] == [False] * 3
    assert not await asker.may_ask("_http._tcp.b.org", 1, "udp")  # as apt does first
    [text] = told_of(queue)
    assert text == "main may not reach a.org, tried by curl\\x0a[7]"
    [shown] = [one for one in (await inspect.tree(twins.engine)).branches if one.name == "main"]
    assert shown.refused and (shown.refused.host, shown.refused.process) == ("a.org", "curl\\x0a[7]")
    assert (await traffic(twins.engine))[live.network.index].refused == 3
    await twins.do("egress", "main", "allow", ("a.org:80",))
    assert live.refused.newest is None
    twins.machine("main").guest.sockets["udp 1"] = (9, "\ud800")
    assert await asker.may_ask("a.org", 1, "udp") and not await asker.may_ask("b.org", 1, "udp")
    await asker.tie("a.org", ("192.0.2.1",), 60)
    now = time.time()
    twins.hub.attempts[live.network.index] = (
        Attempt("192.0.2.1", 80, "tcp", 2, now),  # before that was let
        Attempt("192.0.2.1", 443, "tcp", 2, now),
        Attempt("192.0.2.9", 53, "udp", 1, now + 1),
        Attempt("192.0.2.10", 53, "udp", 1, now - 60),  # before the last look
    )
    assert told_of(queue)[-1].startswith("main may not reach b.org:80, tried by ")
    for _ in range(2):
        await tell_refused(twins.engine, {live.network.index: Traffic(refused=3)})
    assert told_of(queue) == [
        "main may not reach a.org:443",
        "main may not reach 192.0.2.9:53/udp",
    ]
    shown = await twins.do("egress", "main", "show")
    assert {(one.host, one.times) for one in shown.refused} >= {("192.0.2.9", 1), ("a.org", 2), ("a.org", 3)}
    assert {one.host for one in shown.refused} == {"a.org", "b.org", "192.0.2.9", "192.0.2.10"}
    await twins.do("egress", "main", "off")
    await asker.may_ask("b.org", 1, "udp")
    assert len(told_of(queue)) == 1, "since the rule has changed it is news again"


def test_what_is_refused_is_told_once_with_its_name() -> None:
    on_twins(refusals)


def test_a_guest_that_is_refused_much_fills_nothing_and_is_told_of_a_little() -> None:
    now = 1000.0
    known, first = Refusals(lambda: now), Attempt("n0.org", 0, "", 1, 0.0)
    for number in range(MOST * 2):
        now += 0.2
        one = known.add(Destination(f"n{number}.org"))
        assert known.is_news(one.to)
        known.made_by(one.to, number + 1, "p")
    assert len(known.names) == MOST and known.count == MOST
    assert known.names[-1].process == f"p[{MOST * 2}]" and known.with_process(first).process == ""
    now += 2.0
    assert not known.is_news(one.to) and known.is_news(first.to)
    told = [known.is_news(Destination(f"m{number}.org")) for number in range(100)]
    assert told == [True] * (TOLD_PER_S - 1) + [False] * (101 - TOLD_PER_S)
    now += TOLD_AGAIN_S
    assert known.is_news(one.to)


def test_the_screen_says_how_a_refusal_is_let() -> None:
    assert shown(NOWHERE, Traffic()) == ""
    assert shown(NOWHERE, Traffic(refused=2)) == "off, 2 refused"
    assert shown(RULE, Traffic(refused=2)) == "allow a.org:80, 2 refused"
    assert shown(Reach(ReachMode.OPEN), Traffic()) == "open"
    one = Attempt("a.org", 0, "", 1, 0.0)
    assert not [*refused(None)] and "A lets it" in [*refused(one)][1].plain
    seen = [*refused(replace(one, port=53, protocol="udp", process="dig[7]"))]
    assert seen[0].plain.split(maxsplit=1)[1] == "a.org:53/udp, tried by dig[7]"


def test_the_port_that_was_wanted_is_known_from_who_asked_for_a_service_or_a_proxy() -> None:
    now = 1000.0
    known = Refusals(lambda: now)
    known.expect("a.org", 80)
    a80, b, a443 = Destination("a.org", 80, "tcp"), Destination("b.org"), Destination("a.org", 443, "tcp")
    assert (known.asked_for("a.org"), known.asked_for("b.org"), known.asked_for("a.org", 443)) == (
        a80,
        b,
        a443,
    )
    now += EXPECTED_S
    assert known.asked_for("a.org") == Destination("a.org")
    for asked, times in ((a80, 1), (a443, 1), (a443, 2), (b, 1)):
        assert known.add(asked).times == times
    assert (
        known.add(Destination("b.org", 80, "tcp")).times == 2 and known.count == 5
    )  # asked for AAAA beside it


def test_the_port_that_is_wanted_is_told_by_a_command_line_or_by_configuration() -> None:
    for command, port in {
        "/usr/lib/apt/methods/http": 80,
        "/usr/lib/apt/methods/https": 443,
        "/usr/lib/apt/methods/store": 0,
        "curl -sS https://user@A.org/x": 443,
        "git-remote-https origin https://a.org/x.git": 443,
        "wget http://b.org/ https://a.org:8443/": 8443,
        "curl a.org/x": 80,
        "curl x.a.org b.org": 0,
        "curl --proxy a.org:3128 http://b.org/": 3128,
        "psql postgres://me@a.org:5432/db": 5432,
        "openssl s_client -connect a.org:65536": 0,
        "ssh git@a.org git-upload-pack": 22,
        "/usr/bin/ssh -p 2222 git@a.org": 2222,
        "getent hosts a.org": 0,
        "": 0,
    }.items():
        assert (said_by("a.org", command) or usual("a.org", command)) == port, command
    assert usual("pypi.org", "python3 -m pip install six") == 443
    assert usual("deb.debian.org", "getent hosts deb.debian.org") == 0
    assert (
        configured("a.org", "# http://a.org:1\nindex-url = http://A.org:8080/simple\nhttps://b.org") == 8080
    )


async def told_by_a_command(twins: Twins) -> None:
    await twins.do("up")
    live = twins.engine.machines.live[twins.engine.branch("main").id]
    queue, guest = twins.engine.events.subscribe(), twins.machine("main").guest
    asker = names_at(twins.engine, live.network.info.address)
    assert asker is not None
    guest.sockets |= {"udp 1": (7, "curl"), "udp 2": (8, "http")}
    guest.commands["curl"] = "curl https://a.org/x"
    await asyncio.gather(*(asker.may_ask("a.org", 1, "udp") for _ in range(2)))  # for addresses of two kinds
    await asker.may_ask("a.org", 2, "udp")
    [text] = told_of(queue)
    assert text == "main may not reach a.org:443, tried by curl[7]"
    [one] = (await twins.do("egress", "main", "show")).refused
    assert (one.port, one.protocol, one.times, one.process) == (443, "tcp", 3, "curl[7]")
    await twins.do("egress", "main", "add")
    assert reach_of(twins, "main") == of_mode("allow", ("a.org:443",))
    assert await asker.may_ask("a.org", 1, "udp")


def test_a_name_is_refused_for_the_port_that_its_programs_command_line_tells() -> None:
    on_twins(told_by_a_command)


async def adding(twins: Twins) -> None:
    await twins.do("up")
    with pytest.raises(Conflict, match="was refused nothing that is still refused"):
        await twins.do("egress", "main", "add")
    await twins.do("fork", "main", 3)
    await twins.do("fork", "b1", 1, "below")
    live = twins.engine.machines.live[twins.engine.branch("b1").id]
    asker = names_at(twins.engine, live.network.info.address)
    assert asker is not None and not await asker.may_ask("c.org", 1, "udp")
    await twins.do("egress", "b2", "allow", ("a.org:80",))
    await twins.do("egress", "b3", "open")
    await twins.do("egress", "b1", "add", (), True)
    assert in_words(reach_of(twins, "b1") or NOWHERE) == "allow c.org"
    assert in_words(reach_of(twins, "b2") or NOWHERE) == "allow a.org:80 c.org"
    assert reach_of(twins, "b3") == of_mode("open", ())
    assert reach_of(twins, "main") == reach_of(twins, "below") == NOWHERE
    assert live.refused.newest is None
    await twins.do("undo")
    assert reach_of(twins, "b1") == NOWHERE and reach_of(twins, "b2") == RULE
    network = twins.engine.machines.live[twins.engine.branch("b3").id].network
    network.close()
    with pytest.raises(VertuiError):
        await twins.do("egress", "b1", "allow", ("e.org",), True)
    assert reach_of(twins, "b1") == NOWHERE and reach_of(twins, "b2") == RULE
    await twins.do("egress", "b1", "add", ("d.org", "@npm"))
    assert in_words(reach_of(twins, "b1") or NOWHERE) == f"allow d.org {USUAL['@npm'][0]}"
    with pytest.raises(Conflict, match="may reach everything already"):
        await twins.do("egress", "b3", "add", ("d.org",))


def test_what_was_refused_is_added_to_the_rules_of_a_branch_and_its_siblings() -> None:
    on_twins(adding)


async def of_images(twins: Twins) -> None:
    image = await twins.do("image egress", "base", "allow", ("a.org:80", "@pip"))
    assert image.egress and in_words(image.egress) == "allow a.org:80 @pip"
    await twins.do("image egress", "other", "open")
    await twins.do("up", "base")
    assert in_words(reach_of(twins, "main") or NOWHERE) == f"allow a.org:80 {' '.join(USUAL['@pip'])}"
    await twins.do("up", "other", "second")
    assert reach_of(twins, "second") == of_mode("open", ())
    await twins.do("image egress", "other", "default")
    await twins.do("up", "other", "third")
    assert reach_of(twins, "third") == NOWHERE
    settings.change(twins.engine, "egress.default", "1")
    await twins.do("image egress", "other", "off")
    await twins.do("up", "other", "fourth")
    assert reach_of(twins, "fourth") == NOWHERE and reach_of(twins, "second") == of_mode("open", ())
    anew = replace(twins.engine.image("base"), id="base-2", egress=None)
    twins.engine.catalog.put_image(anew)
    assert twins.engine.image("base").id == "base-2" and twins.engine.image("base").egress == image.egress
    for mode, rules in (("allow", ()), ("default", ("a.org",)), ("allow", ("no rule",)), ("off", ("@pip",))):
        with pytest.raises(UsageError):
            await twins.do("image egress", "base", mode, rules)


def test_an_image_says_what_its_branches_may_reach_at_first() -> None:
    on_twins(of_images)
