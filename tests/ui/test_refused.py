"""What a branch was refused outside: the screen says it at once, with the keys that let it, for it or its siblings."""

from core.engine.names import names_at
from core.reach import in_words
from tests.twins.engine import Twins
from tests.ui.engines import engine_shown
from tests.ui.looks import app_of, until, until_seen


async def is_refused(twins: Twins, branch: str, name: str, process: tuple[int, str]) -> None:
    """A program of the guest's asks for a name that its rule does not let it."""
    live = twins.engine.machines.live[twins.engine.branch(branch).id]
    twins.machine(branch).guest.sockets["udp 4000"] = process
    asker = names_at(twins.engine, live.network.info.address)
    assert asker is not None and not await asker.may_ask(name, 4000, "udp")


def reach_of(twins: Twins, branch: str) -> str:
    return in_words(twins.engine.branch(branch).egress)


async def test_one_key_lets_what_was_refused_and_another_for_all_of_the_fork() -> None:
    async with engine_shown() as (twins, pilot):
        await pilot.press("A")
        await until_seen(pilot, "allow refused: main was refused nothing outside")
        twins.machine("main").guest.commands["http\x1b[2J"] = "/usr/lib/apt/methods/http"
        await is_refused(twins, "main", "deb.debian.org", (7, "http\x1b[2J"))
        await until_seen(pilot, "main may not reach deb.debian.org:80, tried by http")
        await until_seen(pilot, "deb.debian.org:80, tried by http", "A lets it, W for all", "[7]: A lets it")
        await pilot.press("A")
        await until(pilot, lambda: reach_of(twins, "main") == "allow deb.debian.org:80")
        await until_seen(pilot, "allow deb.debian.org:80")
        app = app_of(pilot)
        await until(pilot, lambda: all(one.refused is None for one in app.main.shown.branches))
        await is_refused(twins, "b2", "a.org", (8, "getent"))
        await until(pilot, lambda: any(one.refused for one in app.main.shown.branches))
        await pilot.press("slash", *"b2", "enter", "W")
        await until(pilot, lambda: reach_of(twins, "b1") == reach_of(twins, "b2") == "allow a.org")
        assert reach_of(twins, "main") == "allow deb.debian.org:80"
