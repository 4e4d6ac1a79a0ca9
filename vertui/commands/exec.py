"""Commands in branches: `exec`, `ps` and `shell`."""

import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_args

import typer
from msgspec.structs import replace

from core.commands import Recorded
from core.daemon.client import Client
from core.daemon.endpoint import Endpoint
from core.errors import UsageError, VertuiError
from core.model import BranchState, Command, ExecRequest, check_variable
from core.verbs.base import Kind
from vertui import foreground
from vertui.login import shell_request
from vertui.options import AfterDashes, All, BranchName, Json, argument, new_app
from vertui.outcomes import KeptOutput
from vertui.output import Cell, Row, say_json, say_table, warn
from vertui.session import connect
from vertui.several import check_named, distinct, each
from vertui.streaming import AttachRequest, Follower, Note, Sink
from vertui.terminal import Prefixed, window_size, write
from vertui.text import age, printable, size

app = new_app()

What = ExecRequest | AttachRequest
OFFSETS = re.compile(r"([0-9]{1,18})(?:,([0-9]{1,18}))?")
LONGEST_S = 1_000_000  # eleven days; the agent takes no longer timeout
Tell = Callable[[Sequence[foreground.End | None]], None]
PS_HEADER = ("ID", "PID", "STATE", "AGE", "STDOUT", "STDERR", "COMMAND")


@app.command("exec", cls=AfterDashes)
def execute(
    ctx: typer.Context,
    branches: Annotated[list[str] | None, argument("BRANCH...", "Where to run it.", Kind.BRANCH)] = None,
    everything: All = False,
    interactive: Annotated[bool, typer.Option("-i", "--interactive", help="Pass standard input on.")] = False,
    tty: Annotated[bool, typer.Option("-t", "--tty", help="Give the command a terminal.")] = False,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", metavar="K=V", help="Set a variable; may be repeated.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="NAME[=VARIABLE]", help="Give it a secret; may be repeated."),
    ] = None,
    cwd: Annotated[
        str | None,
        typer.Option("--cwd", "-w", metavar="DIR", help="Directory to run in.", show_default="home"),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", "-u", metavar="NAME", help="User to run as.", show_default="root")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", help="End it after this long: exit status 124."),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            "--score", metavar="printed|CMD", help="Score the branch by what is printed, as `fork` does."
        ),
    ] = None,
    recorded: Annotated[
        str,
        typer.Option("--journal", metavar="some|all|none", help="How much output the journal keeps."),
    ] = "some",
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave it running and print its id.")
    ] = False,
    attach: Annotated[
        int | None, typer.Option("--attach", metavar="ID", help="Follow a command shown by `vertui ps`.")
    ] = None,
    from_offset: Annotated[
        str | None,
        typer.Option("--from", metavar="OUT[,ERR]", help="Byte offsets to attach from.", show_default="0"),
    ] = None,
    json: Json = False,
) -> None:
    """Run a command in one branch or several. Its exit status is the command's; of several, the first not 0.

    Ctrl-C goes to the command; a second one leaves it running. When this process is killed or its terminal closed, the
    command's input ends and it gets SIGHUP, unless it was left by --detach. Several branches' lines are prefixed.
    A terminal too slow for the output misses some, and is told so; a file or pipe gets all, and the command waits.

    It is written into the branch's journal: the command, directory, names of variables, exit status, 64 KiB of the
    output's beginning and end (1 MiB with --journal all; nothing with none or -t), by whom VERTUI_AUTHOR names.

    With --json nothing is printed until the end, then for each branch in order: exit (null and a reason where it is not
    known), timed_out, command (its id), stdout and stderr as text (the last MiB of each; truncated says that there was
    more, and stdout_bytes and stderr_bytes how much in all). What is no UTF-8 is U+FFFD. One branch named, one object;
    else a list.

    --secret gives the command what `vertui secret set NAME` keeps, as the variable NAME or VARIABLE. The value is in no
    argument, is not shown by ps, log or --attach, and passes through the guest's agent sealed. What the command does
    with it is its own: it can store or print it (output is kept in the guest); so can its user's others, and root.
    A fork or commit made while the command runs, or what it started, has a copy in memory. When all of that has ended,
    the guest's kernel has wiped their memory (not in images of more than 1 GiB, or built before there was --secret).

    Of a secret that is for some sites alone (`secret set --for`) the command has a placeholder, and variables by which
    most programs go through the proxy that puts the value in its place: http_proxy, https_proxy, SSL_CERT_FILE and
    such. So neither the machine nor a fork or commit of it ever has the value.

    \b
    Examples:
      vertui exec main -- python3 -m unittest
      vertui exec b1 b2 b3 --timeout 30 -- sh -c 'make && ./run'
      vertui exec --all --json -- ./test
      vertui exec -i b1 -- tar -x < files.tar
      vertui exec --secret TOKEN=GH_TOKEN main -- ./publish
      vertui exec b1 --attach 7
    """
    what: What
    check_named("run it in", branches or (), everything)
    if json and tty:
        raise UsageError("--json keeps the output for the end, and -t shows it as it comes: give one of them")
    if attach is None:
        lossless = json or not sys.stdout.isatty()
        more = {
            "cwd": cwd,
            "user": user,
            "lossless": lossless,
            "secrets": _secrets(secret or []),
            "score": score or "",
        }
        more |= {"author": os.environ.get("VERTUI_AUTHOR", ""), "recorded": _recorded(recorded)}
        what = _started(ctx.obj, from_offset, tty, interactive, env or [], timeout, **more)
    else:
        starts = bool(ctx.obj or detach or env or secret or score) or (cwd, user, timeout) != (
            None,
            None,
            None,
        )
        what = _attached(attach, from_offset, starts)
    client = connect()
    names = _running(client) if everything else distinct(client, branches or ())
    kept = [KeptOutput() for _ in names] if json else []
    followers = _followers(client.endpoint, [replace(what, branch=name) for name in names], kept)
    if not names and not json:
        print("there is nothing to run it in")

    def tell(ends: Sequence[foreground.End | None]) -> None:
        told = [one.outcome(follower, end) for one, follower, end in zip(kept, followers, ends, strict=True)]
        say_json(told if everything or len(told) > 1 else told[0])

    if detach:
        _detach(followers, tell if json else None)
    else:
        raise typer.Exit(_run(followers, interactive, tty, tell if json else None))


def _running(client: Client) -> list[str]:
    return [branch.name for branch in client.tree().branches if branch.state is BranchState.RUNNING]


@app.command()
def ps(branch: BranchName, json: Json = False) -> None:
    """List the commands exec started in a branch, also those a fork inherited, and how they ended."""
    commands = connect().ps(branch)
    if json:
        say_json(commands)
    elif not commands:
        print(f"no command was started in {branch}")
    else:
        now = time.time()
        say_table(PS_HEADER, [_command(command, now) for command in commands])


@app.command()
def shell(branch: BranchName) -> None:
    """Open a shell in a branch. It ends with `exit` or Ctrl-D."""
    if not sys.stdin.isatty():
        raise UsageError(f"shell needs a terminal: use `vertui exec -i {branch} -- sh`")
    client = connect()
    request = shell_request(branch, {"TERM": os.environ.get("TERM", "xterm")}, *window_size())
    raise typer.Exit(_run(_followers(client.endpoint, [request]), stdin=True, tty=True))


def _request(
    branch: str, argv: tuple[str, ...], tty: bool = False, stdin: bool = False, **more: Any
) -> ExecRequest:
    """A request with this terminal's size, and its TERM for a command that gets a terminal."""
    rows, columns = window_size()
    env = ({"TERM": os.environ.get("TERM", "xterm")} if tty else {}) | more.pop("env", {})
    return ExecRequest(branch, argv, env, tty=tty, rows=rows, columns=columns, stdin=stdin, **more)


def _started(
    argv: tuple[str, ...],
    from_offset: str | None,
    tty: bool,
    stdin: bool,
    env: list[str],
    timeout_s: float | None,
    **more: Any,
) -> ExecRequest:
    """The command to start, in a branch still to be named."""
    if not argv:
        raise UsageError("no command: write it behind --, as in `vertui exec main -- uname -a`")
    if from_offset is not None:
        raise UsageError("--from goes with --attach: a new command is followed from its start")
    more |= {"env": _variables(env), "timeout_s": _positive(timeout_s)}
    return _request("", argv, tty, stdin, **more)


def _attached(command: int, from_offset: str | None, starts: bool) -> AttachRequest:
    """The command to go on with; `starts` when something was said that only a new one takes."""
    if starts:
        raise UsageError(
            "--attach goes on with a command that runs: it takes --from, -i and -t, nothing a new one takes"
        )
    return AttachRequest("", command, *_offsets(from_offset or "0"))


def _positive(timeout_s: float | None) -> float | None:
    if timeout_s is not None and not 0 < timeout_s <= LONGEST_S:
        raise UsageError(f"a timeout is more than 0 seconds and at most {LONGEST_S}")
    return timeout_s


def _recorded(given: str) -> str:
    if given not in (known := get_args(Recorded)):
        raise UsageError(f"--journal is {', '.join(known[:-1])} or {known[-1]}, not '{given[:40]}'")
    return given


def _variables(pairs: list[str]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    for name, equals, _ in split:
        if not name or not equals:
            raise UsageError(f"'{name[:40]}' sets nothing: write --env NAME=VALUE")
    return {name: value for name, _, value in split}


def _secrets(words: list[str]) -> dict[str, str]:
    """By variable, the secret it gets."""
    split = [word.partition("=") for word in words]
    return {
        check_variable(variable if equals else name): check_variable(name) for name, equals, variable in split
    }


def _offsets(text: str) -> tuple[int, int]:
    match = OFFSETS.fullmatch(text)
    if not match:
        raise UsageError(f"'{text[:40]}' are no offsets: write --from 4096 or --from 4096,128")
    return int(match[1]), int(match[2] or 0)


def _followers(endpoint: Endpoint, whats: list[What], kept: Sequence[Sink] = ()) -> list[Follower]:
    """Of each command, its output passed on unless it is kept."""
    width = max((len(what.branch) for what in whats), default=0)
    sinks: Sequence[Sink] = kept or (
        [write]
        if len(whats) == 1
        else [Prefixed(what.branch, width, index) for index, what in enumerate(whats)]
    )
    return [
        Follower(endpoint, what, sink, _note(what.branch)) for what, sink in zip(whats, sinks, strict=True)
    ]


def _note(branch: str) -> Note:
    return lambda text: warn(f"{branch}: {text}")


def _detach(followers: list[Follower], tell: Tell | None) -> None:
    """Start each and leave it running, and print its id, or have all told at the end."""
    named = {follower.branch: follower for follower in followers}
    failed: dict[str, VertuiError] = {}

    def start(name: str) -> None:
        try:
            number = named[name].start()
        except VertuiError as error:
            failed[name] = error
            raise
        if tell is None:
            print(number if len(named) == 1 else f"{name} {number}")

    try:
        each(list(named), start)
    finally:
        if tell:
            tell([failed.get(name) for name in named])


def _run(followers: list[Follower], stdin: bool, tty: bool, tell: Tell | None = None) -> int:
    """Follow each to its end, and have that told: the exit status of all."""
    ends = foreground.run(followers, stdin, tty)
    for follower in followers:
        if isinstance(follower.sink, Prefixed):
            follower.sink.flush()
    if ends is None:
        for follower in followers:
            _leave(follower)
    if tell:
        tell(ends or [None] * len(followers))
    if ends is None:
        return foreground.DETACHED
    if tty and any(isinstance(end, Exception) for end in ends):
        print(file=sys.stderr)  # what follows starts a line of its own
    return foreground.status(followers, ends)


def _leave(follower: Follower) -> None:
    out, err = follower.offsets.values()
    again = f"vertui exec {follower.branch} --attach {follower.command} --from {out},{err}"
    left = follower.leave()
    if follower.command is None:
        warn(f"left before it was known to run: `vertui ps {follower.branch}` shows whether it does")
    elif left:
        warn(f"left running; go on with `{again}`")
    else:
        warn(f"the daemon is away: the command ends soon unless it is gone on with, by `{again}`")


def _command(command: Command, now: float) -> Row:
    over = command.exit_code is not None
    state = (
        Cell(
            f"exit {command.exit_code}{' (late)' if command.timed_out else ''}",
            "red" if command.exit_code else "",
        )
        if over
        else Cell("running", "green")
    )
    return (
        str(command.id),
        str(command.pid),
        state,
        age(now - command.started),
        size(command.stdout_bytes),
        size(command.stderr_bytes),
        printable(shlex.join(command.argv)),
    )
