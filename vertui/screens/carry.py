"""What is taken out of a comparison: a change in a pager, a file in an editor, a patch in a file, a change in another
branch.
"""

import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Literal

from rich.text import Text

from core.diff.result import FileDiff
from core.errors import VertuiError
from core.files import disk_error
from core.model import Applied
from core.tar import Pieces
from core.verbs.apply import Apply
from core.verbs.shown import Shown
from vertui import theme
from vertui.base import TOAST_S, BaseApp
from vertui.compare.change import FilePatch, LinePart
from vertui.patches import without_remarks
from vertui.plain import toast
from vertui.screens.dialogs import Answers, Field, FormDialog, needed
from vertui.screens.plan import Answer, PlanDialog
from vertui.screens.saving import save_as
from vertui.text import counted, printable, size
from vertui.unpack import unpack_file

MOST_OPENED = 256 << 20  # bytes of a file that an editor is given
SIGNS = {LinePart.ADDED: "+", LinePart.REMOVED: "-", LinePart.CONTEXT: " "}
PREFERENCES: dict[str, Literal["ours", "theirs"] | None] = {"": None, "ours": "ours", "theirs": "theirs"}


class Carry:
    """Of one comparison; `path` is of a file or folder, empty for all of it."""

    def __init__(self, app: BaseApp, a: str, b: str) -> None:
        self._app, self._a, self._b = app, a, b

    # -- programs of the user's ------------------------------------------------------------------------------

    def to_pager(self, lines: Callable[[], Iterator[str]]) -> None:
        """Show lines in $PAGER. They are escaped: not every pager keeps control characters from the terminal."""

        def write(directory: Path) -> Path:
            file = directory / "change.diff"
            with file.open("w", encoding="utf-8", errors="backslashreplace") as out:
                out.writelines(f"{line}\n" for line in lines())
            return file

        self._open(command_of("PAGER", default="less"), write)

    def to_editor(self, entry: FileDiff) -> None:
        """Open a copy of the file as it is after the change, or was before if it is gone. It is not brought back."""
        ref, state = (self._b, entry.after) if entry.after else (self._a, entry.before)
        if state is not None and state.size > MOST_OPENED:
            self._app.fail(
                f"{size(state.size)} are too much for an editor: `vertui export-files` writes it to disk"
            )
            return

        def write(directory: Path) -> Path:
            name = safe_name(entry.path)
            unpack_file(
                Pieces(self._app.client.files(ref, entry.path, attributes=False)), directory, name.encode()
            )
            (directory / name).chmod(0o400)  # an editor says so before somebody types in it
            return directory / name

        self._open(command_of("VISUAL", "EDITOR", default="vi"), write)

    def _open(self, command: Sequence[str], write: Callable[[Path], Path]) -> None:
        """Make a file in a thread, then leave the terminal to a program that shows it."""
        if not self._app.may_use_host():
            return
        place = tempfile.TemporaryDirectory(prefix="vertui-", ignore_cleanup_errors=True)

        def made() -> Path:
            try:
                return write(Path(place.name))
            except OSError as error:
                raise disk_error(error, Path(place.name)) from error

        def show(file: Path) -> None:
            try:
                self._app.leave_to([*command, str(file)], command[0])
            finally:
                place.cleanup()

        self._app.call(f"opening {command[0]}", made, show, lambda error: place.cleanup())

    # -- a patch ---------------------------------------------------------------------------------------------

    def save(self, path: str) -> None:
        """Ask where, and write what `vertui patch` prints: binary files too, for `git apply`."""
        title = f"save {path or 'everything'} as a patch"
        save_as(self._app, title, f"{safe_name(self._b)}.patch", partial(self._write, path), self._saved)

    def _write(self, path: str, out: IO[bytes]) -> list[str]:
        """What the patch leaves out."""
        pieces = self._app.client.patch_pieces(self._a, self._b, path=[path] if path else [], whole=True)
        left_out: list[str] = []
        for lines, remarks in without_remarks(pieces):
            out.write(lines)
            left_out += remarks
        return left_out

    def _saved(self, where: str, left_out: list[str]) -> None:
        self._tell(where)
        if left_out:
            more = f" and {counted(len(left_out) - 1, 'more thing')}" if len(left_out) > 1 else ""
            self._app.fail(f"not in the patch: {left_out[0]}{more}")

    # -- another branch --------------------------------------------------------------------------------------

    def apply(self, path: str, lines: str = "") -> None:
        """Ask which branch is to have it, all or some `lines` of it, say what that means, and do it."""
        running = {branch.name for branch in self._app.selection.newest.branches}
        to = self._a if self._a in running else ""
        self._ask(path, {"to": to, "prefer": "", "lines": lines})

    def _ask(self, path: str, begin: Answers) -> None:
        """Begin with these answers; what was refused is asked for again with what was typed."""
        what = path or "everything"
        shown = Shown(self._app.selection.newest)

        def verb(answers: Answers) -> Apply:
            paths, prefer = (path,) if path else (), PREFERENCES[answers["prefer"]]
            return Apply(self._b, answers["to"], paths, prefer, answers.get("lines") or None)

        def rule(answers: Answers) -> str | None:
            return verb(answers).refuse(shown)

        def go(answers: Answers | None) -> None:
            if answers is not None:
                self._confirm(verb(answers), what, partial(self._ask, path, begin | answers))

        fields = [
            Field("to", "to branch", begin["to"], "a running branch", check=needed),
            Field(
                "prefer", "prefer", begin["prefer"], "where both changed: ours or theirs", check=_wrong_side
            ),
        ]
        if path:
            fields.append(Field("lines", "lines", begin["lines"], "12-20: what changed in these alone"))
        self._app.push_screen(FormDialog(f"apply {what} of {self._b}", tuple(fields), "Apply", rule), go)

    def _confirm(self, verb: Apply, what: str, again: Callable[[], None]) -> None:
        what = f"{what}, lines {verb.lines}" if verb.lines else what
        lines = [f"{what}: what {verb.source} did since the commit that both come from, into {verb.target}"]
        winner = {"ours": verb.target, "theirs": verb.source, None: ""}[verb.prefer]
        listed = "what both changed in different ways is listed, and then nothing is done"
        lines.append(f"where both changed the same, {winner} wins" if winner else listed)
        footing = Text("nothing brings it back: commit the branch first", style=f"bold {theme.RED}")
        here = self._app.screen

        def failed(error: VertuiError) -> None:
            if self._app.screen is here:
                again()

        def answer(said: Answer | None) -> None:
            if said is Answer.DO:
                doing = f"applying {what} of {verb.source} to {verb.target}"
                self._app.call(doing, lambda: self._app.client.do(verb), partial(self._applied, verb), failed)

        self._app.push_screen(PlanDialog("apply", tuple(lines), footing, "Apply"), answer)

    def _applied(self, verb: Apply, done: Applied) -> None:
        self._tell(f"{counted(len(done.changed), 'change')} of {verb.source} in {verb.target}")
        if done.not_carried:
            self._app.fail(f"not applied: flags or project id of {', '.join(done.not_carried)}")

    def _tell(self, text: str) -> None:
        """A word where it is seen: the line of events is on the main screen."""
        toast(self._app, text, TOAST_S, error=False)


def lines_of(path: str, change: FilePatch) -> Iterator[str]:
    """A change as lines of text, each as it is shown."""
    yield printable(path)
    for line in range(len(change)):
        yield SIGNS.get(change.part(line), "") + change.text(line)


def command_of(*variables: str, default: str) -> list[str]:
    """The program that a variable names, the first that does."""
    for variable in variables:
        with suppress(ValueError):  # quotes that do not end
            if found := shlex.split(os.environ.get(variable, "")):
                return found
    return [default]


def safe_name(path: str) -> str:
    """A name for a file of ours that ends as the path does, so that a program knows what is in it."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", path.rpartition("/")[2])[-100:]
    return name if name.strip(".") and not name.startswith("-") else f"file{name.strip('.')}"


def _wrong_side(text: str) -> str | None:
    return None if text in PREFERENCES else "give ours, theirs or nothing"
