"""How much branches changed since they were forked: asked for when somebody wants to see it, and kept."""

from collections.abc import Callable, Iterable

from core.diff.result import DiffSize
from core.model import Branch
from vertui.base import BaseApp
from vertui.compare.noise import RULES
from vertui.screens.inquiry import Inquiry
from vertui.since import Since, since

KEY = "measures"  # by which the app keeps them while no screen shows them


class Measures:
    """Of branches by their names. `told` is called when more is known."""

    def __init__(self, app: BaseApp) -> None:
        self.told: Callable[[], object] = lambda: None
        self._app = app
        self._known: dict[str, tuple[Since, DiffSize | None]] = {}
        self._inquiry = Inquiry(app, self._ask, self._learn)

    @classmethod
    def of_app(cls, app: BaseApp) -> "Measures":
        """Those that the app keeps."""
        kept = app.kept.setdefault(KEY, cls(app))
        assert isinstance(kept, cls)
        return kept

    def of(self, branch: Branch) -> DiffSize | None:
        """What was found last, also while something newer is asked for."""
        known = self._known.get(branch.name)
        return known[1] if known else None

    def want(self, branches: Iterable[Branch]) -> None:
        """Look into these, unless what is known of them cannot be otherwise by now, and into no others."""
        questions = filter(None, map(since, branches))
        self._inquiry.want(one for one in questions if self._known.get(one.after, (None,))[0] != one)

    def again(self) -> None:
        """Whoever could not be asked is there again."""
        self._inquiry.again()

    def _ask(self, question: Since) -> DiffSize:
        globs = [rule.glob for rule in RULES]
        return self._app.client.changes(question.before, question.after, ignore=globs, lines=True)

    def _learn(self, found: dict[Since, DiffSize | None]) -> None:
        self._known |= {question.after: (question, size) for question, size in found.items()}
        if found:
            self.told()
