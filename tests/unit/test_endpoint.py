"""Which daemon a command reaches: that of the home, or by VERTUI_URL and a token one that is elsewhere."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.endpoint import TOKEN, TOKEN_FILE, URL, Remote, find_endpoint
from core.errors import UsageError
from core.home import Home
from core.model import Operation, OperationState
from core.tokens import PREFIX, digest
from tests.stand_in import standing_in
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import open_port, served
from vertui.cli import main

HERE = "http://127.0.0.1:7080"
AWAY = "http://127.0.0.1:1"  # where nobody listens


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (URL, TOKEN, TOKEN_FILE):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        (HERE, "127.0.0.1", 7080),
        (f"{HERE}/", "127.0.0.1", 7080),
        ("http://[::1]:7080", "::1", 7080),
        ("http://box", "box", 80),
    ],
)
def test_a_url_and_a_token_name_it(monkeypatch: pytest.MonkeyPatch, url: str, host: str, port: int) -> None:
    monkeypatch.setenv(URL, url)
    monkeypatch.setenv(TOKEN, "secret\n")
    assert find_endpoint() == Remote(host, port, "secret")
    assert "secret" not in repr(find_endpoint())


def test_a_token_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setenv(URL, HERE)
    monkeypatch.setenv(TOKEN_FILE, str(tmp_path / "token"))
    assert find_endpoint() == Remote("127.0.0.1", 7080, "secret")


def test_without_a_url_it_is_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VERTUI_HOME", str(tmp_path))
    monkeypatch.setenv(TOKEN, "secret")
    monkeypatch.setenv(URL, "")
    found = find_endpoint()
    assert isinstance(found, Home) and found.root == tmp_path


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {URL: "127.0.0.1:7080", TOKEN: "x"},
            "'127.0.0.1:7080' is no URL of a daemon: set VERTUI_URL to one as",
        ),
        ({URL: "https://box", TOKEN: "x"}, "'https://box' is no URL of a daemon"),
        ({URL: "http://box:99999", TOKEN: "x"}, "is no URL of a daemon"),
        ({URL: "http://box/v1", TOKEN: "x"}, "is no URL of a daemon"),
        ({URL: "http://[::1", TOKEN: "x"}, "is no URL of a daemon"),
        ({URL: HERE}, "VERTUI_URL goes with a token: set VERTUI_TOKEN, or VERTUI_TOKEN_FILE"),
        ({URL: HERE, TOKEN: " "}, "VERTUI_URL goes with a token"),
        ({URL: HERE, TOKEN: "a\nb"}, "is no token: give one line of printable letters"),
        ({URL: HERE, TOKEN: "a\u00fc"}, "is no token"),
        (
            {URL: HERE, TOKEN_FILE: "/nowhere/at/all"},
            "VERTUI_TOKEN_FILE: '/nowhere/at/all' cannot be read: No such",
        ),
        ({URL: HERE, TOKEN_FILE: "/bin/sh"}, "VERTUI_TOKEN_FILE: '/bin/sh' holds no token"),
    ],
)
def test_what_names_none_says_so(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], says: str) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as refused:
        find_endpoint()
    assert says in str(refused.value) and "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (["ssh", "main"], 2),
        (["ssh-config"], 2),
        (["connect", "main", "80"], 2),
        (["daemon", "start"], 2),
        (["daemon", "stop"], 2),
        (["daemon", "stop", "--all", "--now"], 2),
        (["daemon", "logs"], 2),
        (["ls"], 11),
        (["fork", "main"], 11),
        (["exec", "main", "--", "true"], 11),
        (["daemon", "status"], 11),
        (["doctor"], 11),
    ],
)
def test_what_takes_the_home_itself_says_so_and_nothing_is_started(
    argv: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VERTUI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(URL, AWAY)
    monkeypatch.setenv(TOKEN, "x")
    assert main(argv) == status
    said = capsys.readouterr().err
    expected = {
        2: f"run it where they are, without VERTUI_URL ({AWAY})",
        11: f"no daemon answers at {AWAY}: ",
    }
    assert expected[status] in said and said.count("\n") == 1
    assert not (tmp_path / "home").exists()


def test_a_token_is_made_here_and_the_daemon_told_its_digest(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERTUI_HOME", str(home.root))
    answer = Operation(7, "", "token new", "token new ci", OperationState.DONE, undoable=False, created=1.0)
    bodies: list[bytes] = []
    with standing_in(home, {"/v1/token/new": answer}, bodies):
        assert main(["token", "new", "ci"]) == 0
        token = capsys.readouterr().out.removesuffix("\n")
        assert main(["token", "new", "ci", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert main(["token", "new", "ci", "--sha256", "0" * 64]) == 0
        assert capsys.readouterr().out == "token new ci\n"
    assert token.startswith(PREFIX) and told["name"] == "ci" and told["token"] != token
    digests = [digest(token), digest(told["token"]), "0" * 64]
    assert [json.loads(body) for body in bodies] == [{"name": "ci", "sha256": one} for one in digests]


def test_commands_go_by_a_port_as_they_go_by_the_socket(tmp_path: Path) -> None:
    async def run(twins: Twins) -> None:
        twins.begin()
        try:
            async with served(twins) as client:
                await asyncio.to_thread(body, client)
        finally:
            await twins.close()

    def body(client: Client) -> None:
        [at] = open_port(client, "laptop")
        there = {"VERTUI_HOME": str(tmp_path / "none"), URL: at.url, TOKEN: at.token}
        assert vertui(there, "up").stdout.startswith("main  running")
        assert json.loads(vertui(there, "ls", "--json").stdout)["trunk"] == "main"
        assert "laptop" in vertui(there, "token", "ls").stdout
        assert f"listens   {at.url}\n" in vertui(there, "daemon", "status").stdout
        refused = vertui(there, "token", "new", "more")
        assert refused.returncode == 14 and "by the home's own socket alone" in refused.stderr
        refused = vertui(there | {TOKEN: "wrong"}, "exec", "main", "--", "true")
        assert (refused.returncode, refused.stderr.count("\n")) == (13, 1)
        assert "this token is none of this home's, or was revoked" in refused.stderr
        assert not (tmp_path / "none").exists()

    with twin_engine() as twins:
        asyncio.run(run(twins))


def vertui(given: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vertui", *argv],
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=False,
    )
