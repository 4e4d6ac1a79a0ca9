"""Commands in branches: `exec`, `ps`, `shell` and the machine's console."""

import os
import re
import shlex
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from core.daemon import streams
from core.errors import DaemonUnavailable, UsageError, VertuiError
from core.home import Home
from core.model import Command, ExecRequest
from vertui import foreground
from vertui.options import BranchName, Json, new_app
from vertui.output import Cell, Row, say_json, say_table, warn
from vertui.session import connect
from vertui.several import distinct
from vertui.streaming import AttachRequest, Follower, Note, Sink
from vertui.terminal import Prefixed, raw, window_size, write
from vertui.text import age, printable, size

if TYPE_CHECKING:
    from typer._click.core import Context

app = new_app()

What = ExecRequest | AttachRequest
OFFSETS = re.compile(r"([0-9]{1,18})(?:,([0-9]{1,18}))?")
LONGEST_S = 1_000_000  # eleven days; the agent takes no longer timeout
LEAVE = b"\x1d"  # Ctrl-], as in telnet and virsh
SHELL = "command -v bash >/dev/null && exec bash -l; exec sh -l"
PS_HEADER = ("ID", "PID", "STATE", "AGE", "STDOUT", "STDERR", "COMMAND")


class AfterDashes(TyperCommand):
    """A verb whose last part, behind `--`, is somebody else's command line: left alone, in `ctx.obj`."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """Take the command behind `--` off before options are looked for."""
        split = args.index("--") if "--" in args else len(args)
        ctx.obj = tuple(args[split + 1 :])
        return super().parse_args(ctx, args[:split])


@app.command(
    "exec", cls=AfterDashes, epilog="The command stands behind --, as in: vertui exec BRANCH... -- CMD"
)
def execute(
    ctx: typer.Context,
    branches: Annotated[
        list[str], typer.Argument(metavar="BRANCH", help="Where to run it.", show_default=False)
    ],
    interactive: Annotated[bool, typer.Option("-i", "--interactive", help="Pass standard input on.")] = False,
    tty: Annotated[bool, typer.Option("-t", "--tty", help="Give the command a terminal.")] = False,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", metavar="K=V", help="Set a variable; may be repeated.")
    ] = None,
    cwd: Annotated[
        str | None, typer.Option("--cwd", "-w", help="Directory to run in.", show_default="home")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="User to run as.", show_default="root")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", help="End it after this long: exit status 124."),
    ] = None,
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
) -> None:
    """Run a command in one branch or several. Its exit status is the command's; of several, the first not 0.

    Ctrl-C goes to the command; a second one leaves it running. When this process is killed or its terminal closed, the
    command's input ends and it gets SIGHUP, unless it was left by --detach. Several branches' lines are prefixed.
    A terminal too slow for the output misses some, and is told so; a file or pipe gets all, and the command waits.

    \b
    Examples:
      vertui exec main -- python3 -m unittest
      vertui exec b1 b2 b3 --timeout 30 -- sh -c 'make && ./run'
      vertui exec -i b1 -- tar -x < files.tar
      vertui exec b1 --attach 7
    """
    what: What
    if attach is None:
        what = _started(ctx.obj, from_offset, tty, interactive, env or [], timeout, cwd=cwd, user=user)
    else:
        starts = bool(ctx.obj or detach or env) or (cwd, user, timeout) != (None, None, None)
        what = _attached(attach, from_offset, starts)
    client = connect()
    whats = [replace(what, branch=name) for name in distinct(client, branches)]
    followers = _followers(client.home, whats)
    if detach:
        _detach(followers)
    else:
        raise typer.Exit(_run(followers, interactive, tty))


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
    request = _request(branch, ("sh", "-c", SHELL), tty=True, stdin=True)
    raise typer.Exit(_run(_followers(client.home, [request]), stdin=True, tty=True))


@app.command()
def console(branch: BranchName) -> None:
    """Show a machine's serial console and type into it; Ctrl-] leaves."""
    client = connect()
    with streams.console(client.home, branch) as stream:
        messages, left = iter(stream), threading.Event()
        next(messages)  # a refusal comes before anything is said
        with raw():
            write(streams.STDERR, f"vertui: console of {branch}: Ctrl-] leaves\r\n".encode())
            _print(islice(messages, 1), left)  # the past, also for an input that is at its end already
            threading.Thread(target=_type, args=(stream, left), daemon=True).start()
            _print(messages, left)
    print()


def _type(stream: streams.Stream, left: threading.Event) -> None:
    """Standard input to the console, up to LEAVE or its end."""
    typed, escape = b"", b""
    with suppress(OSError, DaemonUnavailable):  # of a stream that has ended the other thread tells
        while not escape and (data := os.read(foreground.STDIN, foreground.CHUNK_BYTES)):
            typed, escape, _ = data.partition(LEAVE)
            stream.write(typed)
        left.set()
    stream.close()


def _print(messages: Iterable[streams.StreamMessage], left: threading.Event) -> None:
    """What the console prints; that the stream ends is no error once the user has left."""
    try:
        for message in messages:
            if isinstance(message, streams.Output):
                write(message.stream, message.data)
    except VertuiError:
        if not left.is_set():
            raise


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
    more |= {"env": _variables(env), "timeout_s": _positive(timeout_s), "lossless": not sys.stdout.isatty()}
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


def _variables(pairs: list[str]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    for name, equals, _ in split:
        if not name or not equals:
            raise UsageError(f"'{name[:40]}' sets nothing: write --env NAME=VALUE")
    return {name: value for name, _, value in split}


def _offsets(text: str) -> tuple[int, int]:
    match = OFFSETS.fullmatch(text)
    if not match:
        raise UsageError(f"'{text[:40]}' are no offsets: write --from 4096 or --from 4096,128")
    return int(match[1]), int(match[2] or 0)


def _followers(home: Home, whats: list[What]) -> list[Follower]:
    width = max(len(what.branch) for what in whats)
    sinks: list[Sink] = (
        [write]
        if len(whats) == 1
        else [Prefixed(what.branch, width, index) for index, what in enumerate(whats)]
    )
    return [Follower(home, what, sink, _note(what.branch)) for what, sink in zip(whats, sinks, strict=True)]


def _note(branch: str) -> Note:
    return lambda text: warn(f"{branch}: {text}")


def _detach(followers: list[Follower]) -> None:
    for follower in followers:
        number = follower.start()
        print(number if len(followers) == 1 else f"{follower.branch} {number}")


def _run(followers: list[Follower], stdin: bool, tty: bool) -> int:
    ends = foreground.run(followers, stdin, tty)
    for follower in followers:
        if isinstance(follower.sink, Prefixed):
            follower.sink.flush()
    if ends is not None:
        return foreground.status(followers, ends)
    for follower in followers:
        _leave(follower)
    return foreground.DETACHED


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
        Cell(f"exit {command.exit_code}", "red" if command.exit_code else "")
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
