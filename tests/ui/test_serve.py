"""`vertui serve`: nobody gets anything without the token, no other page gets in, and a page shows a terminal."""

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from core.daemon.endpoint import Remote, variables_of
from core.tokens import new_token
from tests.browsing import browsing, chromium
from tests.conftest import full
from tests.guests import SOON_S, eventually
from tests.twins.engine import twin_engine
from tests.twins.served import open_port, served
from vertui.actions import ACTIONS, as_printed
from vertui.serve.pages import FETCH
from vertui.serve.program import TerminalProgram
from vertui.serve.server import listening, server

LOOPBACK = "127.0.0.1"
FILES = ("/", "/page.js", "/page.css", "/textual.js", "/xterm.css")
TELLS = "from vertui.browser import own_page; own_page().open_url('http://127.0.0.1:1/')"
SAVES = """
import sys
from vertui.browser import own_page
page = own_page()
for name in ("it", "left"):
    (page.files / name).write_text("<svg/>")
    page.hand_over(page.files / name, f"{name}.svg")
print("in", page.files, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Page:
    """Where it is, and what lets in."""

    port: int
    token: str

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
        """Status, text and head; `Host` may be another."""
        line = http.client.HTTPConnection(LOOPBACK, self.port, timeout=SOON_S)
        line.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            line.putheader(name, value)
        line.endheaders()
        answer = line.getresponse()
        found = (
            answer.status,
            answer.read().decode(),
            {name.lower(): value for name, value in answer.getheaders()},
        )
        line.close()
        return found

    def cookie(self) -> str:
        """What whoever brings the token is known by."""
        status, _, head = self.ask(f"/?token={self.token}")
        assert status == 200
        return head["set-cookie"].partition(";")[0]

    @contextmanager
    def terminal(self, **headers: str) -> Iterator[ClientConnection]:
        """A page's line to its program."""
        given = {"Cookie": self.cookie(), "Origin": f"http://{LOOPBACK}:{self.port}"} | headers
        url = f"ws://{LOOPBACK}:{self.port}/ws?width=100&height=30"
        with connect(url, additional_headers={name: value for name, value in given.items() if value}) as line:
            yield line


@contextmanager
def serving(*argv: str) -> Iterator[Page]:
    """Pages that show this program."""
    listener, token, ready = listening(LOOPBACK, 0), new_token(), os.environ | {"TERM": "xterm"}
    port = listener.getsockname()[1]
    made = server(listener, token, lambda columns, rows: TerminalProgram(argv, ready, columns, rows))
    thread = threading.Thread(target=lambda: asyncio.run(made.serve([listener])))
    thread.start()
    try:
        yield Page(port, token)
    finally:
        made.should_exit = True
        thread.join()


def read(line: ClientConnection, until: str) -> str:
    """What comes, until this has come."""
    shown = bytearray()
    while until.encode() not in shown:
        told = line.recv(SOON_S)
        shown += told if isinstance(told, bytes) else told.encode()
    return shown.decode(errors="replace")


def test_nothing_is_had_without_the_token() -> None:
    with serving("true") as page:
        wrong = ("", "?token=", f"?token={page.token[:-1]}", f"?token={new_token()}")
        for path in (*FILES, "/ws", "/nothing", "/../../etc/passwd"):
            for query in wrong if path == "/" else (*wrong, f"?token={page.token}"):
                for method in ("GET", "POST", "HEAD"):
                    status, text, head = page.ask(path + query, method, Cookie=f"vertui-{page.port}=x")
                    assert status == 403 and "<" not in text and "set-cookie" not in head, (path, query)
        with pytest.raises(InvalidStatus, match="403"), page.terminal(Cookie=""):
            pass


def test_no_other_page_gets_in_whatever_it_has() -> None:
    with serving("sh", "-c", "echo in") as page:
        known, own = page.cookie(), f"http://{LOOPBACK}:{page.port}"
        for host in ("evil.example", f"{LOOPBACK}.evil.example:{page.port}", "localhost.evil", ""):
            assert page.ask("/", Cookie=known, Host=host)[0] == 403, host
            assert page.ask(f"/?token={page.token}", Host=host)[0] == 403, host
        for origin in (
            "http://evil.example",
            "null",
            f"http://{LOOPBACK}:{page.port + 1}",
            own + ".evil.example",
        ):
            assert page.ask("/", Cookie=known, Origin=origin)[0] == 403, origin
            with pytest.raises(InvalidStatus, match="403"), page.terminal(Origin=origin):
                pass
        with pytest.raises(InvalidStatus, match="403"), page.terminal(Origin=""):
            pass
        with page.terminal() as line:
            assert "in" in read(line, "in")
        assert page.ask("/", Cookie=known, Host="localhost:9000")[0] == 200  # behind a tunnel


def test_the_page_takes_nothing_from_elsewhere() -> None:
    with serving("true") as page:
        status, entrance, head = page.ask(f"/?token={page.token}")
        assert status == 200 and 'content="0; url=/"' in entrance and page.token not in entrance
        assert {"httponly", "samesite=strict"} <= set(head["set-cookie"].lower().split("; "))
        for path in FILES:
            status, text, head = page.ask(path, Cookie=page.cookie())
            assert status == 200 and text and head["referrer-policy"] == "no-referrer"
            assert head["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
            assert "access-control-allow-origin" not in head
            if path not in ("/textual.js", "/xterm.css"):  # theirs, of which the policy lets nothing out
                assert not re.search(r"https?://|url\(", text), path
        for linked in re.findall(r'(?:src|href)="([^"]+)"', page.ask("/", Cookie=page.cookie())[1]):
            assert linked == "data:," or f"/{linked}" in FILES


def test_a_terminal_is_typed_into_and_resized_and_ends_with_its_page() -> None:
    script = "echo pid $$; stty size; read -r word; echo got $word; stty size; exec sleep 1000"
    with serving("sh", "-c", script) as page:
        with page.terminal() as line:
            shown = read(line, "30 100")
            for odd in (
                "{",
                "[]",
                "7",
                '["stdin"]',
                '["resize", {"width": "x", "height": 4}]',
                '["resize", 5]',
                "null",
            ):
                line.send(odd)
            line.send(json.dumps(["resize", {"width": 10**9, "height": -3}]))
            line.send(json.dumps(["ping", "12"]))
            assert '["pong", "12"]' in read(line, "pong")
            line.send(json.dumps(["resize", {"width": 90, "height": 20}]))
            line.send(json.dumps(["stdin", "w\u00f6rd\r"]))
            shown += read(line, "20 90")
            assert "got wörd" in shown
        program = int(re.findall(r"pid (\d+)", shown)[0])
        assert eventually(lambda: not psutil.pid_exists(program))


def test_the_page_is_told_what_to_open() -> None:
    with serving(sys.executable, "-c", TELLS) as page, page.terminal() as line:
        told = []
        with pytest.raises(ConnectionClosed):
            while True:
                message = line.recv(SOON_S)
                told += [json.loads(message)] if isinstance(message, str) else []
        assert told == [["open_url", {"url": "http://127.0.0.1:1/", "new_tab": True}]]


def test_what_is_saved_is_fetched_once_and_goes_with_its_page() -> None:
    with serving(sys.executable, "-c", SAVES) as page:
        with page.terminal() as line:
            shown = read(line, "\r\n")
            while len(keys := re.findall(f'"{FETCH}", "([^"]+)"', shown)) < 2:
                shown += read(line, FETCH)
            place = Path(re.findall(r"in (\S+)", shown)[0])
            assert page.ask(f"/download/{keys[0]}")[0] == 403
            status, text, head = page.ask(f"/download/{keys[0]}", Cookie=page.cookie())
            assert (status, text) == (200, "<svg/>") and head["content-type"] == "application/octet-stream"
            assert head["content-disposition"] == 'attachment; filename="it.svg"'
            for key in (keys[0], "x"):
                assert page.ask(f"/download/{key}", Cookie=page.cookie())[0] == 404
        assert eventually(lambda: not place.exists())
        assert page.ask(f"/download/{keys[1]}", Cookie=page.cookie())[0] == 404


@pytest.mark.skipif(
    not full() or chromium() is None,
    reason="scripts/test --all, with Debian's chromium-headless-shell or chromium",
)
def test_a_browser_keeps_a_picture(tmp_path: Path) -> None:
    profile, kept = tmp_path / "profile", tmp_path / "kept"
    profile.mkdir()
    kept.mkdir()
    with (
        serving(sys.executable, "-m", "tests.ui.living") as page,
        browsing(profile, chromium() or "") as browser,
    ):
        browser.do("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(kept))
        browser.open(f"http://{LOOPBACK}:{page.port}/?token={page.token}")
        browser.until("try1")
        browser.press("F2")
        browser.until("handed to the browser")
        assert eventually(lambda: [one.suffix for one in kept.iterdir()] == [".svg"])
        [picture] = kept.iterdir()
        assert "try1" in picture.read_text() and browser.failures == []


CHANGING = "".join(key for key in (as_printed(one.key) for one in ACTIONS if one.changes) if len(key) == 1)


def look(remote: Remote, where: Path) -> None:
    """Have a page to be looked at only, type into it whatever would change something, and end it."""
    command = [sys.executable, "-m", "vertui", "serve", "--readonly", "--json", "--listen", "0"]
    root, here = str(Path(__file__).parents[2]), str(where)
    given = {"PYTHONPATH": root, "HOME": here, "TMPDIR": here, "PAGER": "touch"}
    serve = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=where,
        env=os.environ | variables_of(remote) | given,
    )  # fmt: skip
    try:
        assert serve.stdout is not None and serve.stderr is not None
        told = "".join(serve.stdout.readline() for _ in range(3))
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", json.loads(told)["url"])
        assert found is not None
        with Page(int(found[1]), found[2]).terminal() as line:
            read(line, "read-only")
            for keys, until in (("+", "started with --readonly"), (f"{CHANGING}\r", "type to search")):
                for key in keys:
                    line.send(json.dumps(["stdin", key]))
                read(line, until)
            [ui] = psutil.Process(serve.pid).children()
            serve.send_signal(signal.SIGINT)
            assert serve.wait(SOON_S) == 0
        assert not psutil.pid_exists(ui.pid) and serve.stderr.read() == ""
    finally:
        serve.kill()
        serve.communicate()


async def test_whoever_types_into_a_page_to_be_looked_at_changes_nothing(tmp_path: Path) -> None:
    """From the command to its end, which leaves nothing."""
    with twin_engine() as twins:
        twins.begin()
        try:
            await twins.do("up")
            await twins.do("fork", "main", 1)
            async with served(twins) as client:
                [remote] = await asyncio.to_thread(open_port, client, "page")
                before, done = twins.world(), len(twins.engine.catalog.operations())
                await asyncio.to_thread(look, remote, tmp_path)
                assert twins.world() == before and len(twins.engine.catalog.operations()) == done
            assert not [*tmp_path.rglob("*")]
        finally:
            await twins.close()
