"""A home is the same one for the user who names it and for the processes that serve it."""

import os
import shutil
from pathlib import Path

import pytest

from core.errors import UsageError
from core.holder.environment import settled
from core.home import find_home


def test_who_serves_a_home_finds_it_under_any_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    home = find_home(str(tmp_path / "home"))
    for name, value in settled(home).items():
        monkeypatch.setenv(name, value)
    assert os.environ["XDG_RUNTIME_DIR"] == str(home.runtime.parent)
    monkeypatch.setattr(os, "getuid", lambda: 12345)  # as in a user namespace
    assert find_home() == find_home(str(home.root)) == home


def test_a_directory_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "letter").write_text("mine")
    home = find_home(str(tmp_path))
    with pytest.raises(UsageError, match="is no home of vertui"):
        home.make()
    assert tmp_path.stat().st_mode & 0o777 == 0o755 and not home.runtime.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


def test_an_empty_directory_and_a_home_are_homes(tmp_path: Path) -> None:
    home = find_home(str(tmp_path))
    try:
        for _ in range(2):
            home.make()
            (tmp_path / "letter").write_text("beside it")
            assert tmp_path.stat().st_mode & 0o777 == 0o700
            tmp_path.chmod(0o755)
    finally:
        shutil.rmtree(home.runtime)
