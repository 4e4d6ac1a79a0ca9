"""What the command line says of ports, and which one `open` takes."""

from typing import Any, cast

import pytest

from core.errors import Conflict, NotFound
from core.inward import GuestPort, PortProtocol, Published, PublishedPort
from core.model import Child, Commit, CommitState, Forked
from core.verbs.publish import Publish
from vertui.answers import say
from vertui.browser import DISPLAYS, open_url
from vertui.commands.ports import HEADER, _port, published
from vertui.output import table

TCP, UDP = PortProtocol.TCP, PortProtocol.UDP
OWN = PublishedPort("b1", 3000, TCP, "127.0.0.1", 41234)
NAMES = PublishedPort("@trunk", 53, UDP, "0.0.0.0", 5353)
INNER = GuestPort(5432, TCP, "127.0.0.1", "postgres")
WEB = GuestPort(3000, TCP, "0.0.0.0", "node")
SSH = GuestPort(22, TCP, "0.0.0.0", "sshd")


class Asked:
    """A client that has these ports, and publishes."""

    def __init__(self, *found: GuestPort) -> None:
        self._found = list(found)
        self.done: list[Publish] = []

    def ports(self, branch: str) -> list[GuestPort]:
        return self._found

    def do(self, verb: Publish) -> Published:
        self.done.append(verb)
        return Published((OWN,), 1)


def chosen(port: str | None, *found: GuestPort) -> tuple[PublishedPort, list[Publish]]:
    client = Asked(*found)
    return published(cast(Any, client), "b1", port), client.done


def test_the_only_port_that_can_be_meant_is_opened_and_published_if_need_be() -> None:
    web = GuestPort(3000, TCP, "0.0.0.0", "node", OWN)
    assert chosen(None, SSH, INNER, web, GuestPort(8080, TCP, "*", "java")) == (OWN, [])
    assert chosen(None, SSH, INNER, WEB) == (OWN, [Publish("b1", ("3000",))])
    assert chosen("8080") == (OWN, [Publish("b1", ("8080",))])
    assert chosen("3000", web) == (OWN, [])
    with pytest.raises(Conflict, match=r"any of 3000, 8080: `vertui open b1 3000`"):
        chosen(None, WEB, GuestPort(8080, TCP, "*", "java"))
    with pytest.raises(NotFound, match="nobody listens"):
        chosen(None, SSH, INNER, GuestPort(53, UDP, "0.0.0.0", "dns"))


def test_ports_say_where_they_are_reached_and_why_not() -> None:
    taken = PublishedPort("b1", 80, TCP, "127.0.0.1", 8080, "port 8080 of 127.0.0.1 is taken")
    found = [
        GuestPort(53, UDP, "0.0.0.0", "dns", NAMES),
        GuestPort(80, TCP, "", "", taken),
        GuestPort(3000, TCP, "", "", OWN),
        INNER,
    ]
    assert table(HEADER, [_port(port) for port in found]) == [
        "PORT    ON THIS HOST           PROGRAM   LISTENS ON  NOTE",
        "53/udp  0.0.0.0:5353 (@trunk)  dns       0.0.0.0",
        "80      127.0.0.1:8080                               port 8080 of 127.0.0.1 is taken",
        "3000    127.0.0.1:41234                              nobody listens now",
        "5432                           postgres  127.0.0.1   only inside: have it listen on 0.0.0.0",
    ]


def test_answers_say_what_to_open(capsys: pytest.CaptureFixture[str]) -> None:
    say(Published((OWN, NAMES), 1))
    say(Published((OWN,), 2, open=False))
    say(Published((PublishedPort("@proxy", 0, TCP, "127.0.0.1", 7070),), 3))
    commit = Commit("ab" * 20, "", (), "main", "img", "fork", 1.5, CommitState.HOT, True)
    say(Forked(commit, (Child("b1", True, "", "10.77.0.2", 1.0, 2.0, (OWN,)),), 4))
    told = capsys.readouterr().out.rstrip("\n").split("\n")
    assert told[:4] == [
        "b1 3000  http://127.0.0.1:41234/",
        "@trunk 53/udp  0.0.0.0:5353",
        "b1 3000  http://127.0.0.1:41234/  closed",
        "http://PORT.BRANCH.localhost:7070/  (at 127.0.0.1:7070)",
    ]
    assert told[-1].startswith("b1") and told[-1].endswith("3000 at 127.0.0.1:41234")


def test_without_a_display_no_browser_takes_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    assert not open_url("http://127.0.0.1:1/")
