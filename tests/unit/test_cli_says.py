"""What a command says of what happened, and by which status it ends: beside a daemon that only answers."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from core.checkpoints import CheckpointPolicy, Policed, Price
from core.crash import CrashDisk
from core.daemon.client import GOES_ON
from core.home import Home, find_home
from core.journal.recovered import Recovered
from core.model import BranchState, Committed, Origin, Tree
from core.reach import of_mode
from tests.diffs import diff_of
from tests.stand_in import standing_in
from tests.ui.trees import DEMO
from vertui.cli import main
from vertui.widgets.detail import detail

Run = Callable[..., tuple[int, str, str]]
COMMIT = replace(DEMO.commits[0], id="3fa9c1d2" * 5, branch="main", message="m", changed_pages=1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("VERTUI_HOME", str(tmp_path / "home"))
    place = find_home()
    place.make()
    return place


@pytest.fixture
def run(home: Home, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line beside these answers: its status and what it printed."""

    def done(*argv: str, **answers: object) -> tuple[int, str, str]:
        with standing_in(home, {f"/v1/{name}": answer for name, answer in answers.items()}):
            status = main(argv)
        said = capsys.readouterr()
        return status, said.out, said.err

    return done


def test_an_interrupted_verb_says_that_it_goes_on(home: Home) -> None:
    home.runtime.mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.daemon_socket))
        listener.listen()
        argv = [sys.executable, "-m", "vertui", "fork", "main"]
        command = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        lines: list[socket.socket] = []
        while not lines or b"POST /v1/fork" not in lines[-1].recv(4096):
            lines.append(listener.accept()[0])
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=60)
        for line in lines:
            line.close()
    assert (command.returncode, said) == (130, f"\nvertui: {GOES_ON}\n")


@pytest.mark.parametrize("asked", ["--processes", "--ports", "--connections"])
def test_what_no_commit_has_is_in_the_status_of_a_diff(run: Run, asked: str) -> None:
    assert run("diff", "a", "b", diff=diff_of())[0] == 0
    for option in ((), ("--json",)):
        assert run("diff", "a", "b", asked, *option, diff=diff_of())[0] == 3


def test_a_verb_for_all_takes_no_names_besides(run: Run) -> None:
    assert run("commit", "--all", "main")[2].endswith("or give --all: not both\n")
    assert run("commit")[2].endswith("or give --all\n")


def test_a_commit_says_of_which_branch_it_is_and_whether_it_is_new(run: Run) -> None:
    made = Committed(COMMIT, 1, 5.0, 7.0)
    _, said, _ = run("commit", "main", commit=made)
    assert said.startswith("main  3fa9c1d2  m\n1 page changed, paused ")
    _, said, _ = run("commit", "main", commit=replace(made, added=False))
    assert said == "main  3fa9c1d2  m\nnothing changed since that commit\n"


def test_ls_tells_what_branches_reach_where_any_of_them_does(run: Run) -> None:
    main, other, *_ = DEMO.branches
    assert not {"EGRESS", "LINKS"} & set(run("ls", tree=DEMO)[1].split())
    reaching = replace(main, egress=of_mode("allow", ("pypi.org",)), links=(other.name,))
    head, line, *_ = run("ls", tree=replace(DEMO, branches=(reaching, other)))[1].split("\n")
    assert line[head.index("EGRESS") :].split()[:2] == ["allow", other.name], line


@pytest.mark.parametrize(("origin", "way"), [(Origin.FOREIGN, " --trust"), (Origin.TRUSTED, "")])
def test_a_home_with_nothing_but_an_import_says_how_to_start_it(run: Run, origin: Origin, way: str) -> None:
    tree = Tree((), (replace(COMMIT, origin=origin),), (), None)
    assert f"`vertui fork 3fa9c1d2{way}` starts it\n" in run("ls", tree=tree)[1]


def test_a_number_that_is_none_is_called_so(run: Run) -> None:
    assert "'abc' is no number" in run("score", "b1", "abc")[2]
    assert "'abc' is no whole number" in run("fork", "main", "-n", "abc")[2]


def test_help_has_words_for_every_value(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("exec", "log", "daemon logs"):
        main([*verb.split(), "--help"])
        assert not {"<str>", "<int", "<float"} & set(capsys.readouterr().out.split())


def test_a_policy_is_told_in_words_with_its_price(run: Run) -> None:
    policy = CheckpointPolicy(True, 600.0, 30.0, 64 << 20, True, keep_last=5, hourly=2)
    told = Policed("main", policy, own=True, price=Price(3, 6.0, 1 << 20, 4.0))
    assert run("policy", "main", policy=told)[1] == (
        "main  committed after each command, when its agent says that it waits, when idle for 30 s, when 64 MiB have"
        " changed, every 600 s while it changes\n"
        "keeps the newest 5, one an hour of the last 2 hours\n"
        "price of the newest 3: paused 6.0 ms, 1.0M added each; of late 4 an hour: 24 ms, 4.0M\n"
    )
    never = Policed("main", CheckpointPolicy(), own=False, price=Price())
    assert run("policy", "main", policy=never)[1] == "main  committed never by itself  (as the home says)\n"


def test_that_a_branch_is_suspended_when_idle_is_told(run: Run) -> None:
    main = replace(DEMO.branches[0], idle_s=300)
    _, said, _ = run("suspend", main.name, "--when-idle", "300", suspend=main)
    assert said.endswith("\n  suspended when idle for 300 s\n")
    assert "when idle for 300 s" in "\n".join(line.plain for line in detail(DEMO, main, (), (), 100))


def test_what_a_machine_left_that_died_is_named_and_booted_from(run: Run) -> None:
    crash = CrashDisk(time.time() - 200, "ab" * 20, ("l1",), DEMO.commits[0].id, 12 << 20)
    lost = replace(DEMO.branches[0], state=BranchState.LOST, reason="it was killed", pid=None, crash=crash)
    tree, left = replace(DEMO, branches=(lost,)), f"{lost.name}@crash is its disk as it died 3m ago, 12M"
    assert f"it was killed; {left}" in run("ls", tree=tree)[1]
    booted = Recovered(lost, lost.head, "", dry_run=False, from_crash_disk=True)
    assert f"runs from {lost.name}@crash" in run("recover", lost.name, "--from-crash-disk", recover=booted)[1]
    assert run("diff", f"{lost.name}@crash", tree=tree, diff=diff_of())[0] == 0
    none = replace(tree, branches=(replace(lost, crash=None),))
    assert "has no crash disk" in run("diff", f"{lost.name}@crash", tree=none)[2]
