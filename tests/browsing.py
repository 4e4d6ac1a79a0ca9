"""A page in a headless Chromium, by its DevTools protocol, and the terminal on it as text."""

import base64
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

from tests.guests import SOON_S, eventually

PROGRAMS = ("chromium-headless-shell", "chromium")
SIZE = (1200, 800)
SHIFT = 8
CODES = {
    "Enter": 13,
    "Escape": 27,
    "Tab": 9,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "F2": 113,
}
TEXTS = {"Enter": "\r"}
TRAP = """
Object.defineProperty(Object.prototype, "terminal", {configurable: true, set(value) {
    Object.defineProperty(this, "terminal", {value, writable: true});
    if (value && value.buffer) window.shown = value;
}});
"""
"""xterm.js draws on a canvas, and whoever made it keeps it to himself: this finds it as it is made."""
TEXT = """
(() => { const buffer = window.shown.buffer.active, lines = [];
for (let y = 0; y < window.shown.rows; y++) lines.push(buffer.getLine(buffer.viewportY + y).translateToString(true));
return lines.join("\\n"); })()
"""
CELL = """
(() => { const screen = document.querySelector(".xterm-screen").getBoundingClientRect();
return [screen.x, screen.y, screen.width / window.shown.cols, screen.height / window.shown.rows]; })()
"""


def chromium() -> str | None:
    """The program, if it is here."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class BrowserPage:
    """What somebody who sits before it does: type, click, look."""

    def __init__(self, line: ClientConnection) -> None:
        self._line, self._asked = line, 0
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Network"):
            self.do(f"{domain}.enable")
        self.do("Page.addScriptToEvaluateOnNewDocument", source=TRAP)

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        self._asked += 1
        self._line.send(json.dumps({"id": self._asked, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._line.recv(SOON_S))
            if told.get("id") == self._asked:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def value(self, script: str) -> Any:
        """What a script makes."""
        return self.do("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def open(self, url: str) -> None:
        """Go there."""
        self.do("Page.navigate", url=url)
        assert eventually(
            lambda: self.value("!!(window.shown && document.body.className.includes('-first-byte'))")
        )

    @property
    def text(self) -> str:
        """What the terminal shows."""
        return str(self.value(TEXT))

    def until(self, *words: str) -> None:
        """Wait for words."""
        assert eventually(lambda: all(word in self.text for word in words)), (
            f"{words} did not come:\n{self.text}"
        )

    def until_gone(self, word: str) -> None:
        """Wait until it is not there any more."""
        assert eventually(lambda: word not in self.text), f"{word} stays:\n{self.text}"

    def press(self, *keys: str) -> None:
        """Press keys, by their names or as they are printed."""
        for key in keys:
            named = key in CODES
            code = CODES.get(key, ord(key.upper()) if len(key) == 1 and key.isalnum() else 0)
            text = TEXTS.get(key, "" if named else key)
            modifiers = SHIFT if not named and (key.isupper() or not (key.isalnum() or key == " ")) else 0
            pressed = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
            self.do("Input.dispatchKeyEvent", type="keyDown", text=text, **pressed)
            self.do("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def click(self, word: str, *, row_with: str = "", clicks: int = 1) -> None:
        """Click a word where the terminal shows it first; in a row with another word, if one is given."""
        lines = self.text.split("\n")
        rows = [y for y, line in enumerate(lines) if word in line and row_with in line]
        assert rows, f"{word} is not there:\n{self.text}"
        left, top, width, height = self.value(CELL)
        x, y = left + (lines[rows[0]].index(word) + 0.5) * width, top + (rows[0] + 0.5) * height
        at = {"x": x, "y": y, "button": "left", "clickCount": clicks}
        self.do("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.do("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.do("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def picture(self, path: Path) -> None:
        """A screenshot."""
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"]))

    @property
    def asked_of(self) -> set[str]:
        """The hosts that were asked for anything."""
        urls = [event["params"]["request"]["url"] for event in self._events("Network.requestWillBeSent")]
        return {urlsplit(url).hostname or "" for url in urls if not url.startswith("data:")}

    @property
    def failures(self) -> list[str]:
        """What scripts threw, and nobody caught."""
        return [str(event["params"]["exceptionDetails"]) for event in self._events("Runtime.exceptionThrown")]

    def _events(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("method") == method]


@contextmanager
def browsing(place: Path, program: str) -> Iterator[BrowserPage]:
    """A page of a browser whose profile is in `place`."""
    width, height = SIZE
    browser = subprocess.Popen(
        [
            program, "--headless=new", "--no-sandbox", "--no-first-run", "--disable-gpu", "--mute-audio",
            "--remote-debugging-port=0", f"--user-data-dir={place}", f"--window-size={width},{height}", "about:blank",
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(place)}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        active = place / "DevToolsActivePort"
        assert eventually(lambda: active.exists() and active.read_text().count("\n") >= 1), (
            "chromium did not start"
        )
        port = int(active.read_text().split("\n")[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            [page] = [target for target in json.load(answer) if target["type"] == "page"]
        with connect(page["webSocketDebuggerUrl"], max_size=None) as line:
            yield BrowserPage(line)
    finally:
        browser.terminate()
        browser.wait()
        with suppress(ProcessLookupError):  # helpers that outlive it
            os.killpg(browser.pid, signal.SIGKILL)
