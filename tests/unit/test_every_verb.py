"""Every verb, by way of the real client and API, on an engine of twins: what it did is taken back, and done again."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any, TypeVar

import pytest
import typer

from core.daemon.api import make_app
from core.daemon.client import Client
from core.daemon.shown import EngineShown
from core.model import Operation
from core.verbs import all_verbs, load, names
from core.verbs.base import (
    NODES,
    Absent,
    Entry,
    Kind,
    Planned,
    Settled,
    Verb,
    fields_of,
    help_of,
    identifier,
    name_of,
    path_of,
)
from core.verbs.shown import Shown
from tests.twins.engine import Twins, twin_engine
from tests.twins.model import World
from tests.twins.served import served
from vertui.actions import BY_ID
from vertui.commands.group import app as command_line

T = TypeVar("T")
NOT_TAKEN_BACK = {
    "apply": "its help says so: commit first",
    "hand-over": "nothing that is shown changes",
    "secret rm": "its help says so",
    "secret set": "its help says so: what it replaces is kept nowhere",
    "image egress": "a default, as settings are",
    "image rm": "its plan says that nothing brings it back",
    "store compact": "nothing that is shown changes",
    "store gc": "it frees what nobody can ask for",
    "token new": "its help says how: `token revoke`",
    "token revoke": "its help says so",
    "trash empty": "its plan says that nothing brings it back",
}
ANEW = {"suspend": "what is suspended again is what the machine is by then, another commit"}
UNLOGGED = {"journal append": "its own log"}
NOT_ASKED = {
    "cold-boot": "it needs a machine that died, which test_crash_disks has",
    "image build": "it boots a machine of its own; what takes it back is `image rm`",
    "mirrors": "it writes files in a guest, and twins have no programs; asked the other way it takes that back",
    "redo": "each is asked for with every other verb",
    "undo": "each is asked for with every other verb",
}
GIVEN: dict[Kind, Any] = {
    Kind.BRANCH: "b1",
    Kind.REF: "b1",
    Kind.COMMIT: "b1~1",
    Kind.NAME: "fresh",
    Kind.IMAGE: "base",
}
BESIDE: dict[tuple[str, str], Any] = {
    ("apply", "source"): "main",
    ("egress", "mode"): "open",
    ("image egress", "mode"): "open",
    ("resume", "branch"): "paused",
    ("journal append", "body"): "said",
    ("mirrors", "which"): "host",
    ("score", "score"): 0.5,
    ("secret rm", "name"): "KNOWN",
    ("secret set", "name"): "TOKEN",
    ("secret set", "value"): "a value",
    ("token new", "sha256"): 64 * "0",
    ("token revoke", "name"): "known",
    ("trash restore", "entry"): "gone",
    ("publish", "ports"): "8000",
    ("weigh", "weight"): 300,
    ("policy", "every"): 60.0,
    ("link", "branches"): ("main", "b1", "paused"),
    ("unlink", "branches"): ("b1",),
}
ASKED = [name for name in names() if name not in NOT_ASKED]


def request_of(name: str) -> Verb[Any]:
    """A request in the home of `peopled`."""
    verb, fields = load(name), {}
    for field in fields_of(verb):
        value = BESIDE.get((name, field.name), GIVEN.get(field.given.kind))
        wanted = field.is_needed or field.given.kind is Kind.NAME or (name, field.name) in BESIDE
        if value is not None and wanted:
            fields[field.name] = (value,) if field.takes_many and isinstance(value, str) else value
    return verb(**fields)


async def peopled(twins: Twins) -> None:
    """A trunk with two forks, one that is paused and one with a published port, which are linked, a commit that is no
    head, and a branch in the trash.
    """
    await twins.do("up")
    await twins.do("fork", "main", 2)
    await twins.do("commit", "b1", "work")
    await twins.do("rename", "b2", "paused")
    await twins.do("pause", "paused")
    await twins.do("publish", "b1", ("3000",))
    await twins.do("link", ("b1", "paused"))
    await twins.do("fork", "main", 1, "gone")
    await twins.do("prune", ("gone",))
    await twins.do("secret set", "KNOWN", "a value")
    await twins.do("token new", "known", 64 * "1")
    await twins.engine.tasks.sealer.all_sealed()


def carried_out(client: Client, request: Verb[Any]) -> None:
    """As people do it: one that shows a plan first is carried out by that."""
    if isinstance(request, Settled):
        client.execute(client.plan(request))
    else:
        client.do(request)


async def round_trip(twins: Twins, request: Verb[Any]) -> None:
    twins.begin()
    try:
        await peopled(twins)
        async with served(twins) as client:

            async def ask(what: Callable[..., T], *given: Any) -> T:
                return await asyncio.to_thread(what, *given)

            worlds, log = [twins.world()], await ask(client.log)
            await ask(carried_out, client, request)
            worlds.append(twins.world())
            done = [operation for operation in await ask(client.log) if operation.id > log[0].id]
            if name_of(type(request)) in UNLOGGED:
                assert not done and worlds[0] == worlds[1]
                return
            if name_of(type(request)) in NOT_TAKEN_BACK:
                assert done and not any(operation.undoable for operation in done)
                return
            await check_turns(ask, client, twins, worlds, done, anew=name_of(type(request)) in ANEW)
    finally:
        await twins.close()


async def check_turns(
    ask: Any, client: Client, twins: Twins, worlds: list[World], done: list[Operation], *, anew: bool
) -> None:
    """Undo gives the world of before, redo that of afterwards, as often as one likes; `anew` but for commits' ids."""
    assert worlds[0] != worlds[1] and [operation.undoable for operation in done] == [True]
    for _ in range(2):
        for verb, world in (("undo", worlds[0]), ("redo", worlds[1])):
            await ask(client.do, load(verb)())
            seen = twins.world()
            if anew and verb == "redo":
                seen, world = like(seen), like(world)
            assert seen == world, verb


def like(world: World) -> World:
    """Whatever the heads that branches have got since are called."""
    branches = {
        id: replace(one, head="" if one.state == "suspended" else one.head)
        for id, one in world.branches.items()
    }
    return replace(
        world, branches=branches, commits={str(n): one for n, one in enumerate(world.commits.values())}
    )


@pytest.mark.parametrize("name", ASKED)
def test_what_it_did_is_taken_back_and_done_again(name: str) -> None:
    with twin_engine() as twins:
        asyncio.run(round_trip(twins, request_of(name)))


NAMED = ("main", "b1", "paused", "@trunk", "b1~1", "gone", "nobody", "base", "b1@crash")


async def one_rule(twins: Twins) -> None:
    twins.begin()
    try:
        await peopled(twins)
        async with served(twins) as client:
            seen, enforced = Shown(await asyncio.to_thread(client.tree)), EngineShown(twins.engine)
            for request in map(request_of, names()):
                nodes = [field for field in fields_of(type(request)) if field.given.kind in NODES]
                for field, name in product(nodes, NAMED):
                    value = (name,) if field.takes_many else name
                    asked = replace(request, **{field.name: value})  # type: ignore[type-var]
                    assert asked.refuse(seen) == asked.refuse(enforced), asked
    finally:
        await twins.close()


def test_what_is_refused_is_the_same_on_a_screen_and_in_the_daemon() -> None:
    with twin_engine() as twins:
        asyncio.run(one_rule(twins))


@pytest.mark.parametrize("verb", list(all_verbs()), ids=names())
def test_it_is_everywhere(verb: type[Verb[Any]]) -> None:
    """On the command line, in the API and the client, and on the screen or with the reason why not."""
    name = name_of(verb)
    group: Any = typer.main.get_group(command_line)
    with group.make_context("vertui", [], resilient_parsing=True) as context:
        for word in name.split():
            group = group.get_command(context, word)
            assert group is not None, name
    with twin_engine() as twins:
        paths = make_app(twins.engine).openapi()["paths"]
    assert "post" in paths[path_of(verb)]
    assert not issubclass(verb, Planned) or "post" in paths[path_of(verb).replace("/v1", "/v1/plan", 1)]
    assert callable(getattr(Client(starts=False), identifier(name)))
    assert help_of(verb) and verb.examples and callable(verb.refuse)
    if isinstance(verb.screen, Entry):
        assert BY_ID[identifier(name)].key == verb.screen.key
    else:
        assert isinstance(verb.screen, Absent) and verb.screen.reason


def test_each_verb_that_cannot_be_taken_back_says_why() -> None:
    assert {*NOT_TAKEN_BACK, *NOT_ASKED, *UNLOGGED, *ANEW} <= set(names())
