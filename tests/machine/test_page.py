"""The UI on a page, in a real browser, on real machines: fork, watch, diff and promote, by keys and by mouse."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.home import Home
from tests.browsing import BrowserPage, browsing, chromium
from tests.conftest import full
from tests.guests import SOON_S, Guest, eventually

pytestmark = pytest.mark.skipif(
    not full() or chromium() is None,
    reason="scripts/test --all, with Debian's chromium-headless-shell or chromium",
)
ROOT = Path(__file__).parents[2]
SAYS = "echo is {i} > /root/answer; echo said {i}"


@contextmanager
def shown(tmp_path: Path) -> Iterator[BrowserPage]:
    """The page of `vertui serve`."""
    serve = subprocess.Popen(
        [sys.executable, "-m", "vertui", "serve", "--listen", "0", "--no-browser"],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ,
    )  # fmt: skip
    try:
        assert serve.stdout is not None
        url = serve.stdout.readline().strip()
        profile = tmp_path / "profile"
        profile.mkdir()
        with browsing(profile, chromium() or "") as page:
            page.open(url)
            yield page
            assert page.asked_of == {"127.0.0.1"} and page.failures == []
            assert "token" not in page.value("location.href")
            serve.send_signal(signal.SIGINT)
            assert serve.wait(SOON_S) == 0
            assert eventually(
                lambda: page.value("getComputedStyle(document.querySelector('#ended')).display") == "block"
            )
    finally:
        serve.kill()
        serve.communicate()


def names(client: Client) -> set[str]:
    return {branch.name for branch in client.tree().branches if branch.state == "running"}


def test_the_main_job_on_a_page(home: Home, client: Client, main: Guest, tmp_path: Path) -> None:
    with shown(tmp_path) as page:
        page.until("main", "running", "P promote")
        by_keys(page, client)
        by_mouse(page, client)
        page.picture(tmp_path / "page.png")
        print(json.dumps({"picture": str(tmp_path / "page.png")}))


def by_keys(page: BrowserPage, client: Client) -> None:
    page.press("f")
    page.until("children", "variants file")
    page.press("2", "Tab", *"kids", "Tab", *SAYS, "Enter")
    assert eventually(lambda: names(client) == {"main", "kids1", "kids2"}), page.text
    page.until_gone("variants file")
    page.until("kids1", "kids2")
    page.press(" ", " ")
    page.until("2 marked")
    page.press("w")
    page.until("zoom", "said 1", "said 2")
    page.press("Escape")
    page.until("2 marked")
    page.press("d")
    page.until("answer", "side by side")
    page.press("]")
    page.until("is 1", "is 2")
    page.press("Escape")
    page.until("2 marked")
    page.press("Escape")
    page.until_gone("2 marked")
    page.press("ArrowUp", "P")
    page.until("Cancel")
    page.press("ArrowRight", "Enter")
    assert eventually(lambda: (client.tree().trunk or "").startswith("kids")), page.text


def by_mouse(page: BrowserPage, client: Client) -> None:
    page.until("kids1 ★ trunk" if client.tree().trunk == "kids1" else "kids2 ★ trunk")
    page.click("main", row_with="running")
    page.until("● main  running")
    page.click("fork", row_with="q quit")
    page.until("children", "variants file")
    page.click("Fork", row_with="Cancel")
    assert eventually(lambda: len(names(client)) == 7), page.text
    page.until_gone("variants file")
    page.until("b1", "b4")
    page.click("kids1")
    page.click("watch", row_with="q quit")
    page.until("zoom", "said 1")
    page.press("Escape")
    page.until_gone("zoom")
    page.click("kids1")
    page.click("diff", row_with="q quit")
    page.until("answer", "side by side")
    page.press("Escape")
    page.until_gone("side by side")
    page.click("main", row_with="running")
    page.click("promote", row_with="q quit")
    page.until("Cancel")
    page.click("Promote", row_with="Cancel")
    assert eventually(lambda: client.tree().trunk == "main"), page.text
