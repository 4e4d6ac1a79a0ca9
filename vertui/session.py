"""How a command reaches the daemon, and how a plan is shown and asked about."""

import sys
from getpass import getpass
from typing import TYPE_CHECKING

from core.daemon.endpoint import Endpoint, Remote, find_endpoint, listens, own
from core.errors import Conflict, UsageError, VertuiError
from core.home import Home
from core.model import Plan
from vertui.output import warn
from vertui.text import printable, size

if TYPE_CHECKING:
    from core.daemon.client import Client

MOST_UNSEEN_BYTES = 1 << 20  # far more than any field takes: what is longer is refused by its own bounds
MOST_INPUT_BYTES = 8 << 20  # likewise


def connect() -> "Client":
    """A client of a running daemon, which is started when nobody listens. Raises DaemonUnavailable."""
    from core.daemon.client import Client  # help and completion need none

    endpoint = find_endpoint()
    revive(endpoint)
    return Client(endpoint)


def own_home() -> Home:
    """The home itself, for what needs its socket or files. UsageError when VERTUI_URL names a daemon's port."""
    return own(find_endpoint())


def revive(endpoint: Endpoint) -> None:
    """Start the daemon unless it listens; one that is reached by its port is started by nobody here."""
    if isinstance(endpoint, Remote) or listens(endpoint):
        return
    from core.daemon.start import ensure_daemon  # read verbs seldom need it

    ensure_daemon(
        endpoint, warn if sys.stderr and sys.stderr.isatty() else None
    )  # a script wants the outcome only


def show_plan(plan: Plan) -> None:
    """What a plan says, one thing a line; its lines say themselves when nothing brings something back."""
    for line in plan.lines:
        print(f"  {printable(line)}")
    if plan.frees_bytes:
        print(f"  frees {size(plan.frees_bytes)}{' once nothing can undo it' if plan.undoable else ''}")


def agree(plan: Plan) -> None:
    """Ask whether a plan is to be carried out. Raises Conflict without a terminal to ask at, VertuiError when the
    answer is no.
    """
    if not sys.stdin.isatty():
        raise Conflict(f"{plan.verb} asks first and there is no terminal to ask at: add --yes or --dry-run")
    print(f"{plan.verb}? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise VertuiError("nothing changed")


def unseen(what: str) -> str:
    """A text that is typed without being shown; where there is no terminal, all input without one newline at its end.

    UsageError when it is no text. No error tells any of it.
    """
    try:
        if sys.stdin.isatty():
            return getpass(f"{what}: ")
        return sys.stdin.buffer.read(MOST_UNSEEN_BYTES).decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise UsageError(f"{what}: the input is no text in UTF-8") from None
    except EOFError:
        return ""


def all_input(what: str) -> str:
    """All of standard input, as it is. UsageError when it is no text, or longer than any may be."""
    data = sys.stdin.buffer.read(MOST_INPUT_BYTES + 1)
    if len(data) > MOST_INPUT_BYTES:
        raise UsageError(
            f"{what}: the input is longer than {size(MOST_INPUT_BYTES)}: keep it in a file, and name that"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{what}: the input is no text in UTF-8 (byte {error.start}): encode it, as base64 does"
        ) from None
