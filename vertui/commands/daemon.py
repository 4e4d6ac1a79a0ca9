"""The daemon itself, and what this machine can do."""

import select
import sys
import time
from typing import Annotated

import typer

from core.daemon.client import Client
from core.daemon.endpoint import find_endpoint, listens
from core.errors import DaemonUnavailable, UsageError
from core.home import Home
from core.model import DaemonStatus, Finding
from core.ports import parse_listener
from vertui.listing import waits
from vertui.options import Json, new_app
from vertui.output import say_json, styled, warn
from vertui.session import connect, own_home
from vertui.text import age, counted, printable

LOOK_EVERY_MS = 250  # at logs that are followed

app = new_app()
daemon = new_app()
app.add_typer(daemon, name="daemon")


@daemon.callback()
def _daemon() -> None:
    """Start, stop or look at the daemon. Any verb starts it when it is needed."""


@daemon.command()
def start(
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="[ADDRESS:]PORT|off",
            help="Let bearers of tokens in by this port, too; port 0 is any that is free.",
            show_default=False,
        ),
    ] = None,
    in_the_clear: Annotated[
        bool,
        typer.Option(
            "--in-the-clear",
            help="With --listen: also at an address that others reach, who can read along what is said.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Start the daemon; machines left by an earlier one are taken over.

    With --listen its API is on a port as well, in plain HTTP, for whoever shows a token (`vertui token new`), and for
    no browser's page. The port stays open while the daemon restarts, until `--listen off` or `daemon stop`. VERTUI_URL
    and VERTUI_TOKEN, or VERTUI_TOKEN_FILE, lead vertui there.

    \b
    Examples:
      vertui daemon start --listen 127.0.0.1:7080
      curl -H "Authorization: Bearer $VERTUI_TOKEN" http://127.0.0.1:7080/v1/tree
    """
    place = None if listen in (None, "off") else parse_listener(listen)
    if in_the_clear and not place:
        raise UsageError("--in-the-clear says where --listen may listen: it goes with that")
    own_home()
    client = connect()
    if place:
        client.listen(*place, in_the_clear=in_the_clear)
    elif listen:
        client.listen_no_more()
    status = client.status()
    if json:
        say_json(status)
        return
    print(f"running, pid {status.pid}, {counted(status.machines, 'machine')}")
    if status.listening:
        print(f"listens at {status.listening} for bearers of tokens, in plain HTTP")


@daemon.command()
def stop(
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="End machines, networks and the holder too; `resume --all` brings them back."
        ),
    ] = False,
    now: Annotated[
        bool,
        typer.Option("--now", help="With --all: do not commit machines first. What they did since is lost."),
    ] = False,
    json: Json = False,
) -> None:
    """End the daemon. Machines run on, and the next verb starts it again."""
    if now and not everything:
        raise UsageError("--now ends machines uncommitted: it goes with --all")
    home = own_home()
    ended, suspended = _stop_everything(home, now) if everything else (_stop_daemon(home), [])
    if json:
        say_json({"ended": ended, "suspended": suspended})
        return
    if suspended:
        print(f"suspended {' '.join(suspended)}: `vertui resume --all` brings each back as it was")
    if everything:
        print("everything ended" if ended else "nothing was running")
    else:
        print("the daemon ended; machines run on" if ended else "the daemon was not running")


def _stop_daemon(home: Home) -> bool:
    """End the daemon alone; did it run?"""
    if running := listens(home):
        Client(home).stop_daemon()
    return running


def _stop_everything(home: Home, now: bool) -> tuple[bool, list[str]]:
    """Commit what runs, unless told not to, then end it all; a machine that cannot be committed keeps everything.

    Did anything run, and the branches that were suspended.
    """
    from core.daemon.start import end_all, holder_runs
    from vertui.progress import tallied

    suspended: list[str] = []
    if holder_runs(home) and not now:
        try:
            client = connect()
        except DaemonUnavailable as error:
            raise DaemonUnavailable(f"{error}; `daemon stop --all --now` ends all, uncommitted") from error
        suspended = [branch.name for branch in client.tree().branches if branch.pid]
        with tallied(client) as key:
            client.suspend_all(key=key)
    return end_all(home), suspended


@daemon.command()
def status(json: Json = False) -> None:
    """Show the daemon's pid, its home and how many machines run. Exit status 11 when it does not run."""
    facts = _status()
    if json:
        say_json(facts)
        return
    rows = [
        ("pid", str(facts.pid)),
        ("holder", str(facts.holder_pid)),
        ("version", facts.version),
        ("home", printable(facts.home)),
        ("machines", str(facts.machines)),
        ("listens", facts.listening or "by the home's socket alone"),
        ("waiting", waits(facts.waiting) or "nothing"),
        ("up", age(time.time() - facts.started)),
    ]
    for name, value in rows:
        print(f"{name:<10}{value}")


def _status() -> DaemonStatus:
    """Its facts; none is started for that."""
    endpoint = find_endpoint()
    if isinstance(endpoint, Home) and not listens(endpoint):
        raise DaemonUnavailable("the daemon is not running: any verb starts it")
    return Client(endpoint).status()


@daemon.command()
def logs(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is logged from now on.")
    ] = False,
    lines: Annotated[
        int, typer.Option("-n", metavar="NUMBER", min=0, help="How many of the newest lines to begin with.")
    ] = 50,
) -> None:
    """Show what daemon, holder, view server and swapper logged; `config log.level` says how much that is."""
    from core.log_files import Logs

    logs = Logs(own_home().log)
    reader = select.poll()
    reader.register(sys.stdout, 0)  # that it left is told unasked
    said = logs.read(lines)
    if not said and lines and not follow:
        warn("nothing is logged in this home yet")
    while True:
        for line in said:
            print(printable(line))
        sys.stdout.flush()
        if not follow or reader.poll(LOOK_EVERY_MS):
            return
        said = logs.read()


@app.command()
def doctor(json: Json = False) -> None:
    """Say what this machine can and cannot do for vertui, with the fix. Exit status 7 when something is amiss."""
    findings = _findings()
    if json:
        say_json(findings)
    else:
        for finding in findings:
            _say(finding)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(7)


def _findings() -> list[Finding]:
    try:
        return connect().doctor()
    except DaemonUnavailable as error:
        from core import debian, host

        if not isinstance(find_endpoint(), Home):  # what is amiss is amiss there
            raise

        return [
            debian.finding(),
            host.device(*host.FUSE),
            host.device(*host.TUN),
            *host.findings(),
            Finding("daemon", ok=False, detail=str(error), fix="vertui daemon logs"),
        ]


def _say(finding: Finding) -> None:
    mark = styled("✓", "green") if finding.ok else styled("✗", "red")
    print(f"{mark} {finding.name}: {printable(finding.detail)}")
    if not finding.ok and finding.fix:
        print(f"  → {printable(finding.fix)}")
