"""Swarms played, ended and promoted from the screen. Who plays one is a process of its own, which outlives the UI."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import IO

from core.daemon.endpoint import own, variables_of
from core.errors import Conflict, VertuiError
from core.home import Home
from core.model import Plan
from core.python import program
from vertui.actions import BY_ID
from vertui.base import TOAST_S, BaseApp
from vertui.plain import toast
from vertui.screens.plan import Answer, plan_dialog
from vertui.swarm import record as records
from vertui.swarm.glance import SwarmGlance, glance_at, player_of
from vertui.text import printable

VERTUI = "vertui"
LOOK_S = 0.05  # between two looks for the first step of a swarm that begins
MOST_SAID = 4096  # bytes of what it says at its end
ON_A_PAGE = "a page starts no program where it is served: begin swarms there, at a shell"


class NotAgreed(VertuiError):
    """The plan was shown, and left."""


@dataclass(frozen=True)
class SwarmPlayer:
    """A process that plays a swarm, and what it says of itself."""

    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]

    def last_words(self) -> str:
        """The last line of its errors, in which each command says what it ended with; to be asked once."""
        with self.errors as errors:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - MOST_SAID))
            lines = errors.read().decode(errors="replace").strip().split("\n")
        return lines[-1].removeprefix(f"{VERTUI}: ").removeprefix("error: ")


def may_play(app: BaseApp) -> bool:
    """May a process be started that plays swarms? Says so when not."""
    if app.page is not None:
        app.fail(ON_A_PAGE)
        return False
    try:
        own(app.endpoint)
    except VertuiError as error:
        app.fail(str(error))
        return False
    return app.may_change()


def play(
    app: BaseApp,
    arguments: tuple[str, ...],
    begun: Callable[[str], object],
    failed: Callable[[VertuiError], object],
) -> None:
    """Have `vertui swarm …` play one. `begun` is told its name once its first step is taken, `failed` why none was;
    how it ended is said wherever the user is by then.
    """
    home = own(app.endpoint)

    def told(playing: tuple[SwarmPlayer, str]) -> None:
        player, name = playing
        begun(name)
        app.ask(partial(_end_of, home, player, name), lambda said: _say(app, *said))

    app.ask(lambda: _started(app, home, arguments), told, failed)


def _started(app: BaseApp, home: Home, arguments: tuple[str, ...]) -> tuple[SwarmPlayer, str]:
    """Its process and its name; what it says where it ends before its first step."""
    errors = tempfile.TemporaryFile()  # noqa: SIM115 (it is read when the process has ended)
    env = os.environ | variables_of(app.endpoint) | {"NO_COLOR": "1"}
    try:
        process = subprocess.Popen(
            program(VERTUI, "swarm", *arguments), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=errors, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        errors.close()
        raise VertuiError(f"it cannot be started: {error.strerror}") from error
    player = SwarmPlayer(process, errors)
    while not (name := _played_by(home, process.pid)):
        try:
            status = process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
        raise VertuiError(player.last_words() or f"it ended with status {status} at once")
    return player, name


def _played_by(home: Home, pid: int) -> str:
    """The swarm that a process plays, if its first step was taken."""
    for name in records.swarms(home):
        if player_of(home, name) == pid and records.look(home, name).steps:
            return name
    return ""


def _end_of(home: Home, player: SwarmPlayer, name: str) -> tuple[str, str, bool]:
    """Wait for it: its name, what is to be said, and whether that is bad."""
    status, said = player.process.wait(), player.last_words()
    found = glance_at(home, name)
    if found.outcome and found.winner:
        key = "" if found.outcome.promoted else f": {BY_ID['promote'].key_label} promotes it"
        return name, f"{found.winner} won{key}", False
    if status in (-signal.SIGINT, 128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGTERM):
        return name, "is played no more", False
    return name, said or "has ended", bool(status)


def _say(app: BaseApp, name: str, said: str, bad: bool) -> None:
    said = said.removeprefix(f"swarm {name}: ")
    if bad:
        app.fail(f"{name}: {said}", "playing a swarm")
    else:
        toast(app, f"{name}: {printable(said)}", TOAST_S, error=False)


# -- its winner ------------------------------------------------------------------------------------------------


def promote_winner(app: BaseApp, glance: SwarmGlance) -> None:
    """Show the plan by which the winner becomes the trunk, unless it is stale; do it, and record that."""
    home, name = own(app.endpoint), glance.name

    def agree(plan: Plan) -> None:
        """From the thread: on the loop the plan is shown, and the answer waited for here."""
        said: Future[Answer | None] = Future()
        app.call_later(lambda: app.push_screen(plan_dialog(plan, "Promote"), said.set_result))
        if said.result() is not Answer.DO:
            raise NotAgreed("nothing was promoted")

    def work() -> str:
        from vertui.swarm.hands import Hands
        from vertui.swarm.steps import SilentBoard, Swarm
        from vertui.swarm.winning import promote

        hands = Hands(app.client)
        try:
            with records.go_on(home, name) as record:
                if record.ended is None:
                    raise Conflict(f"{name} has not ended: nothing has won yet")
                outcome = promote(
                    Swarm(record, hands, SilentBoard()),
                    record.ended.outcome,
                    agree,
                    rebase=record.spec.rebase,
                )
                record.end(outcome)
                return outcome.rebased or outcome.winner
        finally:
            hands.close()

    def told(winner: str) -> None:
        toast(app, f"{printable(winner)} is the trunk", TOAST_S, error=False)

    def failed(error: VertuiError) -> None:
        if not isinstance(error, NotAgreed):
            app.fail(str(error), f"promoting the winner of {name}")

    app.ask(work, told, failed)
