"""Published ports on the screen: in a branch's details, and by keys that publish and open them."""

import pytest
from msgspec.structs import replace

from core.inward import PortProtocol, PublishedPort
from core.refs import TRUNK
from tests.ui.conftest import Show
from tests.ui.looks import app_of, until, until_seen
from tests.ui.trees import DEMO, HandMadeFeed, event
from vertui.browser import DISPLAYS
from vertui.screens.dialogs import FormDialog

TCP, UDP = PortProtocol.TCP, PortProtocol.UDP
PORTS = (
    PublishedPort("main", 3000, TCP, "127.0.0.1", 3000),
    PublishedPort("b2", 3000, TCP, "127.0.0.1", 41234),
    PublishedPort("b2", 53, UDP, "127.0.0.1", 41235),
    PublishedPort(TRUNK, 80, TCP, "0.0.0.0", 8080, "port 8080 of 0.0.0.0 is taken"),
)


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)


async def test_details_show_where_a_branch_is_reached(show: Show) -> None:
    feed = HandMadeFeed(replace(DEMO, ports=PORTS))
    async with show(feed) as pilot:
        await until_seen(pilot, "http://127.0.0.1:3000/", "http://127.0.0.1:8080/", "@trunk", "is taken")
        await pilot.press("j", "j")
        await until_seen(pilot, "http://127.0.0.1:41234/", "127.0.0.1:41235", "53/udp")
        feed.put(replace(DEMO, ports=PORTS[:1]), event("branch", "b2", "unpublished"))
        await until_seen(pilot, "unpublished")
        assert app_of(pilot).main.shown.ports == PORTS[:1]


async def test_the_only_port_is_opened_and_of_several_one_is_asked_for(show: Show) -> None:
    async with show(HandMadeFeed(replace(DEMO, ports=PORTS))) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app_of(pilot).screen, FormDialog))
        await pilot.press(*"x", "enter")
        await until_seen(pilot, "give one of 3000, 80")
        await pilot.press("backspace", *"3000", "enter")
        await until_seen(pilot, "http://127.0.0.1:3000/  (no browser")
        await pilot.press("j", "j", "o")
        await until_seen(pilot, "http://127.0.0.1:41234/  (no browser")
        await pilot.press("j", "j", "j", "o")
        await until_seen(pilot, "no port of b1 is published: O publishes one")


async def test_ports_to_publish_are_asked_for_and_looked_at(show: Show) -> None:
    async with show(HandMadeFeed(replace(DEMO, ports=PORTS))) as pilot:
        await pilot.press("O")
        await until_seen(pilot, "publish main", "3000")
        await pilot.press("enter")
        await until_seen(pilot, "port 3000 of main is published already")
        await pilot.press(*["backspace"] * 4, *"nine", "enter")
        await until_seen(pilot, "'nine' is no port")
