"""`vertui daemon logs` tells what was logged whether a daemon runs or not, and follows it over every renaming."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.home import Home
from core.log_files import older

HEADED = "2026-11-29T06:37:{:06.3f}Z INFO {}: {}\n"


@contextmanager
def logs(
    home: Home, *argv: str, stdout: int | IO[bytes] = subprocess.PIPE
) -> Iterator["subprocess.Popen[str]"]:
    """The command, killed if it does not end with the block."""
    command = [sys.executable, "-m", "vertui", "daemon", "logs", *argv]
    environment = os.environ | {"VERTUI_HOME": str(home.root)}
    with subprocess.Popen(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(home: Home, *argv: str) -> tuple[str, str]:
    """What it says on each stream."""
    with logs(home, *argv) as process:
        stdout, stderr = process.communicate()
        assert process.returncode == 0
        return stdout, stderr


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_the_newest_lines_of_all_logs_are_told_as_text(home: Home) -> None:
    append(
        home.log / "daemon.log",
        HEADED.format(1, "daemon", "first") + HEADED.format(3, "daemon", "\x1b[2J third"),
    )
    append(home.log / "holder.log", HEADED.format(2, "holder", "second"))
    stdout, stderr = told(home, "-n", "2")
    assert stdout.split("\n") == [
        "2026-11-29T06:37:02.000Z INFO holder: second", r"2026-11-29T06:37:03.000Z INFO daemon: \x1b[2J third", "",
    ]  # fmt: skip
    assert not stderr


def test_where_nothing_was_logged_that_is_said(home: Home) -> None:
    stdout, stderr = told(home)
    assert not stdout and stderr == "vertui: nothing is logged in this home yet\n"


def test_what_is_logged_later_is_told_over_a_renaming(home: Home) -> None:
    path = home.log / "daemon.log"
    append(path, "one\n")
    with logs(home, "-f") as process:
        assert process.stdout and process.stdout.readline() == "one\n"
        append(path, "two\n")
        path.rename(older(path))
        append(path, "three\n")
        assert process.stdout.readline() == "two\n" and process.stdout.readline() == "three\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
        assert process.returncode == 128 + signal.SIGINT and not stderr.strip()


def test_one_whose_reader_left_ends_though_nothing_is_logged(home: Home) -> None:
    append(home.log / "daemon.log", "one\n")
    with logs(home, "-f") as process:
        assert process.stdout and process.stdout.readline() == "one\n"
        process.stdout.close()
        assert process.stderr and not process.stderr.read()
        assert process.wait() == 0


def test_a_setting_says_at_once_how_much_is_logged(home: Home) -> None:
    ensure_daemon(home)
    client = Client(home)
    try:
        client.change_setting("log.level", "3")
        client.status()
        client.change_setting("log.level", "1")
        client.tree()
    finally:
        end_all(home)
    stdout, _ = told(home)
    assert "DEBUG daemon: holder: list" in stdout and "INFO daemon: GET /v1/status 200" in stdout
    assert "GET /v1/tree" not in stdout
