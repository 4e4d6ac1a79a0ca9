"""A home is the same one for the user who names it and for the processes that serve it."""

import os
from pathlib import Path

import pytest

from core.daemon.environment import settled
from core.home import find_home


def test_who_serves_a_home_finds_it_under_any_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    home = find_home(str(tmp_path / "home"))
    for name, value in settled(home).items():
        monkeypatch.setenv(name, value)
    assert os.environ["XDG_RUNTIME_DIR"] == str(home.runtime.parent)
    monkeypatch.setattr(os, "getuid", lambda: 12345)  # as in a user namespace
    assert find_home() == find_home(str(home.root)) == home
