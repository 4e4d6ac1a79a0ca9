"""How the screen was left: kept whole, set aside when it cannot be read, and no trouble where there is no home."""

from pathlib import Path

import pytest

from core.daemon.endpoint import Remote
from core.home import Home
from vertui.remembered import Remembered, ScreenLook


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home", tmp_path / "run")
    made.root.mkdir()
    return made


def test_what_is_kept_is_read_again(home: Home) -> None:
    look = ScreenLook(
        theme="paper", filter="re:^b", folds={"run abc": True}, unfolded=False, took_s={"q\udcff\ud800": 2.5}
    )
    Remembered(home).keep(look)
    again = Remembered(home)
    assert again.read() == look and not again.trouble
    before = home.screen.stat().st_mtime_ns
    again.keep(look)
    assert home.screen.stat().st_mtime_ns == before, "what is kept already is not written"


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'{"folds": {"a": "yes"}}', b"\xff", b"[" * 9999])
def test_a_broken_file_is_said_and_set_aside(home: Home, data: bytes) -> None:
    home.screen.write_bytes(data)
    found = Remembered(home)
    assert found.read() == ScreenLook()
    assert "cannot be read" in found.trouble and "\n" not in found.trouble
    assert (home.root / "screen.json.broken").read_bytes() == data and not home.screen.exists()
    found.keep(ScreenLook(theme="paper"))
    assert Remembered(home).read().theme == "paper"


def test_what_a_later_version_keeps_is_passed_over(home: Home) -> None:
    home.screen.write_bytes(b'{"theme": "ember", "of_tomorrow": 1}')
    assert Remembered(home).read().theme == "ember"


def test_no_home_no_file(tmp_path: Path) -> None:
    for endpoint in (Remote("127.0.0.1", 1, "t"), Home(tmp_path / "none", tmp_path / "run")):
        found = Remembered(endpoint)
        assert found.read() == ScreenLook()
        found.keep(ScreenLook(theme="paper"))
        assert not [*tmp_path.iterdir()] and not found.trouble
