"""The command line as a process: every verb has its help, every mistake is one line, and reading stays light."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from core.daemon.client import Client
from core.errors import UsageError
from core.home import Home, find_home
from core.model import ExecRequest, Tree
from core.tar import Pieces
from core.verbs import names
from tests.stand_in import standing_in
from vertui.cli import stopped_by
from vertui.commands.exec import _leave
from vertui.commands.group import WRITTEN, app
from vertui.streaming import Follower

HEAVY = (
    "textual", "rich", "pydantic", "numpy", "networkx", "fastapi", "uvicorn", "websockets", "asyncio",
    "pyroute2", "psutil", "cachetools",
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home in which no daemon can be started: its place is a file."""
    place = tmp_path / "home"
    place.write_text("not a directory")
    yield place
    assert place.read_text() == "not a directory"


def vertui(home: Path, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"VERTUI_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "vertui", *argv],
        input=stdin,
        capture_output=True,
        text=True,
        env=variables,
        timeout=60,
    )


def test_every_command_is_a_verb() -> None:
    """What a module of commands defines can be typed."""
    for module in set(WRITTEN.values()):
        defined = set(typer.main.get_group(import_module(f"vertui.commands.{module}").app).commands)
        assert defined == {verb for verb, where in WRITTEN.items() if where == module}


@pytest.mark.parametrize("verb", sorted({*WRITTEN, *names()}))
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    from vertui.cli import main

    assert main([*verb.split(), "--help"]) == 0
    said = capsys.readouterr()
    assert f"Usage: vertui {verb}" in said.out
    assert not said.err


DASHES = "; options of the command to run stand behind -- (see `vertui exec --help`)"
QUOTES = "; a command of several words stands in quotes behind --exec (see `vertui fork --help`)"
SWARM_QUOTES = (
    "; a command of several words stands in quotes behind --command (see `vertui swarm run --help`)"
)
MORE = "got unexpected extra argument(s)"


@pytest.mark.parametrize(
    ("argv", "status", "line"),
    [
        ([], 2, "the UI needs a terminal: see `vertui --help` for verbs that do without"),
        (["forl"], 2, "there is no verb 'forl': did you mean fork? (see `vertui --help`)"),
        (["fork"], 2, "missing argument 'REF' (see `vertui fork --help`)"),
        (["ls", "--nonsense"], 2, "no such option: --nonsense (see `vertui ls --help`)"),
        (["exec", "main", "vertui-note", "--waiting"], 2, f"no such option: --waiting{DASHES}"),
        (
            ["exec", "main", "--nonsense", "--", "ls"],
            2,
            "no such option: --nonsense (see `vertui exec --help`)",
        ),
        (["fork", "main", "--exec", "make", "-j4"], 2, f"{MORE} (-j4){QUOTES}"),
        (["swarm", "run", "--command", "make", "-j4"], 2, f"no such option: -j{SWARM_QUOTES}"),
        (["fork", "main", "--exec", "make -j4", "b"], 2, f"{MORE} (b) (see `vertui fork --help`)"),
        (["fork", "main", "--score", "exit", "-j4"], 2, f"{MORE} (-j4) (see `vertui fork --help`)"),
        (["daemon", "status"], 11, "the daemon is not running: any verb starts it"),
    ],
)
def test_a_mistake_is_one_line(home: Path, argv: list[str], status: int, line: str) -> None:
    done = vertui(home, *argv)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", f"vertui: {line}\n")


TALKS = {
    "shell",
    "console",
    "ssh",
    "ssh-config",
    "connect",
    "completion",
    "patch",
    "daemon logs",
    "journal export",
}
"""Verbs that answer no program: a terminal's, another program's, and what is text, or JSON, by itself."""


def test_every_verb_answers_programs() -> None:
    group = typer.main.get_group(app)
    with group.make_context("vertui", [], resilient_parsing=True) as context:
        verbs = {name: group.get_command(context, name) for name in group.list_commands(context)}
    for name, verb in verbs.items():
        inner = verb.commands if isinstance(verb, TyperGroup) else {"": verb}
        for word, command in inner.items():
            assert command is not None
            whole = f"{name} {word}".strip()
            answers = any("--json" in parameter.opts for parameter in command.params)
            assert answers != (whole in TALKS), whole


@pytest.mark.parametrize("argv", [["ls"], ["up"], ["exec", "b1", "--", "true"], ["cp", "x", "b1:"], ["undo"]])
def test_a_daemon_that_cannot_start_is_one_line(home: Path, argv: list[str]) -> None:
    done = vertui(home, *argv)
    assert done.returncode not in (0, 70)
    assert done.stdout == ""
    assert done.stderr.startswith("vertui: ")
    assert done.stderr.count("\n") == 1


def test_an_interrupt_is_never_a_traceback(home: Path) -> None:
    """However early it comes: nothing of the command line is imported where one would be told."""
    for step in range(40):
        argv = [sys.executable, "-m", "vertui", "log", "--help"]
        running = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.01 * step)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert "vertui/cli.py" not in said and "/core/" not in said, said
        assert running.returncode in (0, 1, 130, -signal.SIGINT), said


class Interrupting:
    """A member of a class during whose making somebody presses ^C."""

    def __set_name__(self, owner: type, name: str) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_while_a_class_is_made_is_one() -> None:
    with pytest.raises((KeyboardInterrupt, RuntimeError)) as raised:
        type("Made", (), {"one": Interrupting()})
    error = raised.value
    assert isinstance(error, KeyboardInterrupt) or stopped_by(error)
    assert stopped_by(RuntimeError("another")) is None


def test_read_verbs_import_nothing_heavy(home: Path) -> None:
    script = (
        "import sys, vertui.listing\n"
        "from vertui.cli import main\n"
        "main(['log', '--help'])\n"
        "main(['daemon', 'status'])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"VERTUI_HOME": str(home)},
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_ls_imports_nothing_heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even to print a tree that a daemon answered with."""
    monkeypatch.setenv("VERTUI_HOME", str(tmp_path / "home"))
    place = find_home()
    place.make()
    with standing_in(place, {"/v1/tree": Tree((), (), (), None)}):
        monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
        done = vertui(place.root, "ls")
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.split("\n")}
    assert {"core", "vertui"} <= imported
    assert not imported & {*HEAVY}


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    done = subprocess.run([sys.executable, "-m", "vertui", "--version"], capture_output=True, text=True)
    assert done.stdout == f"vertui {version('vertui')}\n"


@pytest.mark.parametrize(
    "argv",
    (
        ("image", "build", "--disk", "9" * 5000),
        ("exec", "main", "--attach", "1", "--from", "²"),
        ("exec", "main", "--attach", "1", "--from", "9" * 5000),
        ("exec", "main", "--", "x" * 70_000),
        ("exec", "main", "--attach", "1", "--detach"),
        ("exec", "main", "--attach", "1", "--timeout", "5"),
        ("exec", "main", "--attach", "1", "--", "true"),
        ("exec", "main", "--from", "0", "--", "true"),
        ("exec", "main", "--timeout", "inf", "--", "true"),
        ("diff", "a", "b", "--patch", "--mtime"),
        ("diff", "a", "b", "--patch", "--no-fallback"),
        ("diff", "a", "b", "--multi", "--no-fallback"),
        ("diff", "a", "b", "--base", "c"),
        ("diff", "a", "b", "--stat", "--name-only"),
        ("export-files", "b1", "/", ""),
        ("daemon", "stop", "--now"),
        ("exec", "--", "true"),
        ("exec", "main", "--all", "--", "true"),
        ("exec", "main", "-t", "--json", "--", "true"),
        ("export-files", "b1", "/", "-", "--json"),
        ("resume",),
        ("resume", "main", "--all"),
    ),
)
def test_a_malformed_request_is_refused_before_a_daemon_is_asked(home: Path, argv: tuple[str, ...]) -> None:
    done = vertui(home, *argv)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


def test_a_query_longer_than_the_daemon_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name fewer paths"):
        Client(Home(tmp_path, tmp_path)).diff("a", "b", path=["/x" * 1000] * 1000)


def test_a_command_left_before_its_start_was_heard_of_is_looked_for_by_ps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _leave(Follower(Home(tmp_path, tmp_path), ExecRequest("b1", ("true",)), lambda *_: None, lambda _: None))
    said = capsys.readouterr().err
    assert "`vertui ps b1`" in said and "None" not in said


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_what_apply_could_not_carry_is_in_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...]
) -> None:
    monkeypatch.setenv("VERTUI_HOME", str(tmp_path / "home"))
    place = find_home()
    place.make()
    for not_carried, status in ([], 0), (["/file"], 3):
        found = {"changed": ["/file"], "clashes": [], "not_carried": not_carried}
        with standing_in(place, {"/v1/apply": found}):
            assert vertui(place.root, "apply", "b1", "main", *option).returncode == status


def test_pieces_are_read_in_any_sizes() -> None:
    source = Pieces(iter((b"", b"abc", b"", b"de")))
    assert [source.read(2) for _ in range(4)] == [b"ab", b"c", b"de", b""]
