"""Plays the demo in the UI, on real machines and before nobody, and makes the README's pictures of what it shows.

No picture may tell anything of the machine that it was made on: not its name, not its user's, no path.
"""

import argparse
import asyncio
import getpass
import os
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from drawing import Paper, Row, still, texts
from film import Film
from rich.color import Color
from textual.app import ScreenStackError
from textual.pilot import Pilot

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

os.environ.setdefault("VERTUI_SLOW", "3")  # eight machines on two processors are no reason to end a test

from core.daemon.client import Client  # noqa: E402
from core.daemon.start import end_all, ensure_daemon  # noqa: E402
from core.errors import GuestFailed  # noqa: E402
from core.home import find_home  # noqa: E402
from core.patience import patient  # noqa: E402
from core.verbs.image.build import Build  # noqa: E402
from vertui.demo import IMAGE  # noqa: E402
from vertui.stage.app import StagedApp  # noqa: E402
from vertui.stage.bar import CaptionBar  # noqa: E402
from vertui.stage.dressed import DressedApp  # noqa: E402
from vertui.stage.player import Player  # noqa: E402
from vertui.stage.scenes import play  # noqa: E402

COLUMNS, ROWS = 118, 34
CHILDREN = 8
LOOK_S = 0.16  # between looks for another frame
POSE_S = 2.0  # until a screen has all that it asks for, where that cannot be told by what is to be read on it
COMES_S = patient(60.0)
LAST = f"-b{CHILDREN}"
STILLS = {  # a picture's name, the words after which it is taken, and what must be on the screen by then
    "tree": ("Left the tree", ("★ trunk", '"count"')),
    "fork": (f"{CHILDREN} machines, each", (LAST,)),
    "watch": ("The patch 'right'", (LAST,)),
    "scoreboard": ("The scoreboard", (LAST,)),
    "matrix": ("Equal numbers", ()),
    "diff": ("Exactly the files", ()),
    "plan": (": the losers are pruned", ()),
}
FILM = "main-job"
LARGEST_STILL, LARGEST_FILM = 300_000, 3_000_000  # bytes


class PicturedPlayer(Player):
    """Takes stills after what is said, without the bar, and films all the while."""

    def __init__(self, app: DressedApp, pace: float) -> None:
        super().__init__(app, pace)
        self.stills: dict[str, list[Row]] = {}
        self.film = Film(COLUMNS, ROWS, paper(app))
        self.recording: asyncio.Task[None] | None = None
        self._posing = False

    async def say(self, text: str, scene: str = "") -> None:
        """As ever; then perhaps a picture."""
        self.recording = self.recording or asyncio.create_task(self._record())
        await super().say(text, scene)
        for name, (words, seen) in STILLS.items():
            if words in text:
                self.stills[name] = await self._pose(name, seen)

    async def _record(self) -> None:
        """Look for another frame, until it is cancelled."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_S)
            now = time.monotonic()
            with suppress(ScreenStackError):  # at the very end
                rows = [] if self._posing else screen_of(self.app)
                if len(rows) == ROWS:
                    self.film.add(now - before, rows)
            before = now

    async def _pose(self, name: str, seen: Sequence[str]) -> list[Row]:
        self._posing = True
        bars = [bar for screen in self.app.screen_stack for bar in screen.query(CaptionBar)]
        try:
            for bar in bars:
                bar.display = False
            await asyncio.sleep(POSE_S)
            deadline = time.monotonic() + COMES_S
            while missing := [one for one in seen if one not in texts(screen_of(self.app))]:
                if time.monotonic() > deadline:
                    raise GuestFailed(f"pictures: {name} does not show {', '.join(missing)}")
                await asyncio.sleep(LOOK_S)
            return screen_of(self.app)
        finally:
            for bar in bars:
                bar.display = True
            await Pilot(self.app).pause()
            self._posing = False


def screen_of(app: DressedApp) -> list[Row]:
    """Its rows as they are now."""
    return [list(strip) for strip in app.screen._compositor.render_strips()]


def paper(app: DressedApp) -> Paper:
    """The colours of its theme."""
    theme = app.current_theme
    return Paper(
        Color.parse(theme.foreground or "#ffffff").get_truecolor(),
        Color.parse(theme.background or "#000000").get_truecolor(),
    )


async def pictured(pace: float) -> PicturedPlayer:
    """The demo, played, with the keys and the colours that everybody has at first.

    It begins where there is an image and somebody who knows the UI: the lines of a build name paths of this machine.
    """
    home = find_home()
    ensure_daemon(home)
    if not Client(home).tree().images:
        print("an image is built, once: some minutes", flush=True)
        Client(home).do(Build(IMAGE))
    home.screen.unlink(missing_ok=True)
    home.toured.touch()
    os.environ["XDG_CONFIG_HOME"] = str(home.root / "no-config")  # of this process, not of the daemon
    made: list[PicturedPlayer] = []

    def player(app: DressedApp, pace: float) -> PicturedPlayer:
        made.append(PicturedPlayer(app, pace))
        return made[0]

    app = StagedApp(home, partial(play, count=CHILDREN), pace, stays=False, player=player)
    await app.run_async(headless=True, size=(COLUMNS, ROWS))
    if (recording := made[0].recording) is not None:
        recording.cancel()
        with suppress(asyncio.CancelledError):
            await recording
    if app.died is not None:
        raise app.died
    return made[0]


def fault(name: str, svg: str, read: str) -> str:
    """Why a picture, of which this is read, is none to publish: it is too large, or tells where it was made; empty for
    no reason.
    """
    guests = ("root", "/root")  # what a guest is called by as well
    secrets = {socket.gethostname(), getpass.getuser(), str(Path.home()), str(find_home().root), str(ROOT)}
    told = [one for one in secrets if len(one) > 3 and one not in guests and one in svg + read]
    if told:
        return f"{name} tells of this machine: {', '.join(told)}"
    size, most = len(svg.encode()), LARGEST_FILM if name == FILM else LARGEST_STILL
    return f"{name} has {size} bytes, more than {most}" if size > most else ""


def main() -> None:
    """Make them all."""
    parser = argparse.ArgumentParser(prog="scripts/pictures", description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "assets" / "pictures", help="where to")
    parser.add_argument("--pace", type=float, default=0.6, help="of the film: 1 lets people read")
    chosen = parser.parse_args()
    os.environ["VERTUI_HOME"] = str(ROOT / "build" / "pictures")  # no other: all that runs in it is ended
    os.environ.pop("NO_COLOR", None)
    try:
        player = asyncio.run(pictured(chosen.pace))
    finally:
        end_all(find_home())
    chosen.into.mkdir(parents=True, exist_ok=True)
    found = player.film.paper
    svgs = {name: still(rows, COLUMNS, found, f"vertui: {name}") for name, rows in player.stills.items()}
    faults = [f"{name}: its moment never came" for name in STILLS if name not in svgs]
    for name, svg in {**svgs, FILM: player.film.svg("vertui: the main job")}.items():
        if reason := fault(name, svg, texts(player.stills.get(name, []))):
            faults.append(reason)
        else:
            size = (chosen.into / f"{name}.svg").write_bytes(svg.encode())
            print(f"{name}.svg  {size // 1000} kB")
    if faults:
        raise SystemExit("\n".join(f"pictures: {reason}" for reason in faults))


if __name__ == "__main__":
    main()
