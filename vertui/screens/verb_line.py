"""Any verb of the command line, typed here: what has no place on the screen is done without leaving it.

It runs as a process of its own that knows no terminal, on the same home. What asks for one gets this one.
"""

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import IO, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from core.daemon.endpoint import variables_of
from core.errors import VertuiError
from core.python import program
from vertui import theme
from vertui.guest_text import clean
from vertui.messages import Printed
from vertui.plain import TextInput, entitle
from vertui.screens.base import SCROLL_BESIDE_KEYS, Dialog
from vertui.widgets.command_line import CommandLine, Names, Suggestions, word_at_end
from vertui.widgets.footer import KeyHints
from vertui.widgets.lines import LineView

KEPT = "verb lines"  # by which the app keeps what was typed
VERTUI = "vertui"
COMPLETE = ("--complete", "bash")  # what a shell's script says before the line
COMPLETE_S = 10.0
IN_TERMINAL = ("shell", "console", "ssh", "connect", "secret set", "demo", "serve")
"""Verbs that somebody types into, or that draw."""
PIECE = 16 * 1024  # bytes shown at once: some milliseconds
MOST_WAITING = 16 * PIECE  # what prints more waits until it is shown


class VerbOutput:
    """A process, and what it has printed and nobody has taken. `on_news` is called from a thread."""

    def __init__(self, process: "subprocess.Popen[bytes]", on_news: Callable[[], object]) -> None:
        self.process = process
        self.ended = False
        self._on_news = on_news
        self._room = threading.Condition()
        self._waiting = bytearray()
        threading.Thread(target=self._read, name=VERTUI, daemon=True).start()

    def take(self) -> tuple[list[str], bool]:
        """Some lines, and whether that was all until now. A line that is not at its end waits for it."""
        with self._room:
            end = self._waiting.rfind(b"\n", 0, PIECE) + 1
            if not end and (self.ended or len(self._waiting) >= PIECE):
                end = PIECE
            piece = bytes(self._waiting[:end])
            del self._waiting[:end]
            self._room.notify_all()
            left = b"\n" in self._waiting or (self.ended and bool(self._waiting))
        return piece.decode(errors="replace").removesuffix("\n").split("\n") if piece else [], not left

    def _read(self) -> None:
        with cast(IO[bytes], self.process.stdout) as printed:
            while piece := os.read(printed.fileno(), PIECE):
                with self._room:
                    self._room.wait_for(lambda: len(self._waiting) < MOST_WAITING)
                    self._waiting += piece
                self._on_news()
        self.process.wait()
        self.ended = True
        self._on_news()


class VerbLine(Dialog[None]):
    """A line, and what came of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_BESIDE_KEYS,
        Binding("ctrl+c", "interrupt", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._printing: VerbOutput | None = None
        self._busy = False  # something is started, or runs

    def compose(self) -> ComposeResult:
        """The line, the output, the keys."""
        suggestions = Suggestions(self._complete, word_at_end)
        suggestions.learn(reversed(self._lines))
        with Vertical(classes="box tall broad") as box:
            entitle(box, VERTUI)
            yield CommandLine(
                suggestions, hint="any verb: store du, config, cp FILE main:/root, doctor", id="line"
            )
            yield LineView(follow=True, id="reading")
            yield KeyHints(
                ("⏎", "run"), ("↑", "earlier ones"), ("→", "complete"), ("ctrl+c", "interrupt"),
                ("ctrl+↑/↓", "scroll"), ("esc", "leave"),
            )  # fmt: skip

    @property
    def _lines(self) -> Names:
        return cast(Names, self.vertui.kept.setdefault(KEPT, []))

    @property
    def _environment(self) -> dict[str, str]:
        width = max(20, self._view.size.width - 1)
        return os.environ | variables_of(self.vertui.endpoint) | {"COLUMNS": str(width), "NO_COLOR": "1"}

    @property
    def _view(self) -> LineView:
        return self.query_one(LineView)

    def scrolled(self) -> Iterable[Widget]:
        """The output."""
        return (self._view,)

    def on_unmount(self) -> None:
        """What still runs is interrupted: nobody sees any more what it says."""
        self.action_interrupt()

    def _complete(self, before: str, told: Callable[[Names], object]) -> None:
        """As a shell does, once a word."""
        command, env = program(VERTUI, *COMPLETE, f"{VERTUI} {before}"), self._environment

        def ask() -> Names:
            try:
                done = subprocess.run(
                    command,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=COMPLETE_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired):
                return []
            return done.stdout.decode(errors="replace").split("\n")[:-1]

        self.vertui.ask(ask, told)

    # -- running ---------------------------------------------------------------------------------------------

    def on_input_submitted(self, event: TextInput.Submitted) -> None:
        """Run it, one at a time."""
        line = event.value.strip().removeprefix(f"{VERTUI} ")
        if self._busy or not line:
            return
        try:
            argv = shlex.split(line)
        except ValueError as error:
            self._say(str(error), theme.RED)
            return
        typed = self.query_one(CommandLine)
        typed.take()
        self._lines.append(line)
        typed.suggestions.learn(reversed(self._lines))
        if any(argv[: len(verb.split())] == verb.split() for verb in IN_TERMINAL):
            self.vertui.leave_to(program(VERTUI, *argv), VERTUI)
            return
        self._say(f"$ {VERTUI} {line}", f"bold {theme.BRIGHT}")
        self._busy = True
        self.vertui.ask(partial(self._started, argv, self._environment), self._started_is, self._failed)

    def _started(self, argv: list[str], env: dict[str, str]) -> VerbOutput:
        try:
            process = subprocess.Popen(
                program(VERTUI, *argv), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise VertuiError(f"it cannot be started: {error.strerror}") from error
        return VerbOutput(process, lambda: self.post_message(Printed()))

    def _started_is(self, printing: VerbOutput) -> None:
        self._printing = printing
        if self.is_attached:
            entitle(self._view, below="it runs")
            self.post_message(Printed())
        else:
            self.action_interrupt()

    def _failed(self, error: VertuiError) -> None:
        self._busy = False
        if self.is_attached:
            self._say(str(error), theme.RED)

    def on_printed(self) -> None:
        """Show what came, and how it ended."""
        if (printing := self._printing) is None:
            return
        ended = printing.ended  # before what it printed is looked at
        lines, all_taken = printing.take()
        self._view.append(Text(clean(line), style=theme.TEXT) for line in lines)
        if not all_taken:
            self.post_message(Printed())
        elif ended:
            status, self._printing, self._busy = printing.process.returncode, None, False
            entitle(self._view, below="")
            self._say(*(("✓", theme.GREEN) if not status else (f"✗ exit {status}", theme.RED)))

    def action_interrupt(self) -> None:
        """As Ctrl-C does in a terminal."""
        if self._printing is not None and not self._printing.ended:
            self._printing.process.send_signal(signal.SIGINT)

    def _say(self, word: str, style: str) -> None:
        self._view.append([Text(clean(word), style=style)])
