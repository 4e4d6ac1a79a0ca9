"""The form of a verb, made of its value: it stays until the verb is done, so that no error loses what was typed."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from rich.text import Text

from core.errors import VertuiError
from core.model import Branch, Forked
from core.naming import MemoryRoom
from core.verbs.base import Asked, Entry, Verb, command_line
from core.verbs.fork import Fork
from core.verbs.shown import Shown
from vertui import asking, theme
from vertui.feed import News
from vertui.lanes import BRANCH_MARKS
from vertui.screens.children import ChildrenDialog
from vertui.screens.dialogs import Answers, Field, FormDialog
from vertui.selection import Selection
from vertui.text import printable

LONGEST_HINT = 51  # characters that a field has room for
MOST_SHOWN = 40  # of those that a verb makes: where there are more, they are counted


class VerbForm(FormDialog):
    """Asks for what the selection does not tell; says meanwhile what that would make, and then how far it is.

    `follow` is told the children of a fork, to go there.
    """

    def __init__(
        self, verb: type[Verb[Any]], selection: Selection, follow: Callable[[Iterable[str]], None]
    ) -> None:
        assert isinstance(verb.screen, Entry)
        self._follow = follow
        self._verb, self._entry, self._selection = verb, verb.screen, selection
        label = self._entry.label
        title = f"{label} {', '.join(selection.refs)}" if asking.takes_nodes(verb) else label
        super().__init__(
            title,
            tuple(map(_field, asking.questions(verb, selection))),
            label.capitalize(),
            self._refused,
            tell=self._foretold,
            command=self._command,
            do=self._do,
        )
        self._room: MemoryRoom | None = None
        self._before: set[str] = set()  # the branches there were
        self._left = 0  # verbs that are under way

    def on_mount(self) -> None:
        """Ask what room there is, where that matters."""
        if self._verb.starts and self._selection.refs:
            ref = self._selection.refs[0]
            self.vertui.ask(lambda: self.vertui.client.room(ref), self._roomy)
        self.retell()

    def hear(self, news: News) -> None:
        """Show how far those are that are made."""
        if self.busy and news.tree is not None:
            made = [branch for branch in news.tree.branches if branch.name not in self._before]
            self.say(_progress(made) if made else self._doing)

    def _roomy(self, room: MemoryRoom) -> None:
        self._room = room
        if self.is_attached:
            self.retell()

    @property
    def _shown(self) -> Shown:
        return Shown(self.vertui.selection.newest)

    @property
    def _doing(self) -> Text:
        return Text(f"◌ {self._entry.doing}…", style=theme.TEAL)

    def _made(self, answers: Answers) -> list[Verb[Any]]:
        return asking.made(self._verb, self._selection, answers)

    def _refused(self, answers: Answers) -> str | None:
        shown = self._shown
        return next(filter(None, (one.refuse(shown) for one in self._made(answers))), None)

    def _foretold(self, answers: Answers) -> str:
        shown = self._shown
        return next(filter(None, (one.foretell(shown, self._room) for one in self._made(answers))), "")

    def _command(self, answers: Answers) -> str:
        return " && ".join(map(command_line, self._made(answers)))

    # -- doing it --------------------------------------------------------------------------------------------

    def _do(self, answers: Answers) -> None:
        made = self._made(answers)
        self._before = {branch.name for branch in self.vertui.selection.newest.branches}
        self._left = len(made)
        if self._verb.lasts:
            self.end()
        else:
            self.begin(self._doing)
        for verb in made:
            what = f"{self._entry.doing} {asking.subject(verb)}".rstrip()
            work: Callable[[], object] = partial(self.vertui.client.do, verb)
            self.vertui.call(what, work, partial(self._done, verb), self._failed)

    def _done(self, verb: Verb[Any], answer: object) -> None:
        self._left -= 1
        if not self._left and self.is_attached and self.busy:
            self.end()
        if isinstance(verb, Fork) and isinstance(answer, Forked):
            self._follow(child.name for child in answer.children if child.ok)
            if not all(child.ok for child in answer.children):
                self.vertui.push_screen(ChildrenDialog(verb, answer))

    def _failed(self, error: VertuiError) -> None:
        """It is still there to be changed, unless it was left."""
        self._left -= 1
        if self.is_attached:
            self.resume(str(error))


def _progress(made: list[Branch]) -> Text:
    """Each with its state's glyph and colour."""
    text = Text()
    for branch in made[:MOST_SHOWN]:
        text.append(f"{BRANCH_MARKS[branch.state].glyph} {printable(branch.name)}  ", theme.colour_of(branch))
    return text.append(f"and {len(made) - MOST_SHOWN} more" if len(made) > MOST_SHOWN else "", theme.MUTED)


def _field(question: asking.Question) -> Field:
    given = question.field.given
    return Field(
        question.field.name, given.label or question.field.name, question.answer, hint_of(question.field),
        lambda text: question.wrong(text) or None,
    )  # fmt: skip


def hint_of(field: Asked) -> str:
    """What is asked for, and where there is room for it what may be typed."""
    given, typed = field.given, ""
    if bool in field.types:
        typed = "y"
    elif "|" in given.metavar or "[" in given.metavar:
        typed = given.metavar
    elif given.metavar == "SECONDS" and "second" not in given.help:
        typed = "seconds"
    hint = f"{typed}: {given.help}"
    return hint if typed and len(hint) <= LONGEST_HINT else given.help
