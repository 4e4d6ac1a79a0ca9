"""The store: what images, branches and commits take on disk; freeing what nothing needs, and looking whether all is
as it was written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from core.model import Plan, Tree, new_key
from core.space import StoreProblem, StoreSpace
from core.verbs.store.compact import Compact
from core.verbs.store.gc import Gc
from vertui import theme
from vertui.base import TOAST_S
from vertui.feed import News
from vertui.plain import Words, entitle, toast
from vertui.screens.base import bound, changing
from vertui.screens.dialogs import Answers, Field, FormDialog
from vertui.screens.kept import KeptScreen
from vertui.screens.plan import Answer, PlanDialog
from vertui.screens.reading import ReadDialog
from vertui.selection import Node
from vertui.text import counted, printable, short, size
from vertui.widgets.events import progress_bar
from vertui.widgets.footer import KeyHints

NUMBER = 9  # cells of a size
COLUMNS = ("logical", "stored", "shared", "unique")  # the last stays the longest
YES, NO = ("y", "yes"), ("", "n", "no")


@dataclass(frozen=True)
class Taken:
    """What something takes: `sizes` are of `COLUMNS`, None where nobody knows; `node` is its id in the tree."""

    kind: str
    name: str
    sizes: tuple[int | None, ...]
    node: str = ""


class StoreScreen(KeptScreen[Taken]):
    """Images, branches, then commits, those first that pruning would free most of."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bound("store", "app.pop_screen"),
        bound("prune", "gc"),
        bound("letters", "go_there"),
        Binding("ctrl+k", "check", show=False),
        Binding("ctrl+t", "compact", show=False),
        Binding("ctrl+r", "reread", show=False),
    ]

    def __init__(self) -> None:
        super().__init__("store", _draw, lambda one: (one.kind, one.name), "nothing is stored yet")
        self._space: StoreSpace | None = None
        self._heading, self._said = Words(id="heading"), Words(id="said")

    def compose(self) -> ComposeResult:
        """The columns' names, the list, what all takes, the keys."""
        yield self._heading
        yield self.rows
        yield self._said
        yield KeyHints(
            ("{prune}", "free what nothing needs"), ("ctrl+k", "check"), ("ctrl+t", "pack anew"),
            ("{letters}", "go to it in the tree"), ("ctrl+r", "read again"), ("esc", "back"),
        )  # fmt: skip

    def look(self) -> Sequence[Taken]:
        """What all take."""
        self._space = self.vertui.client.store_space()
        return taken(self._space, self.vertui.selection.newest)

    def hear(self, news: News) -> None:
        """Say how far it is what was asked for."""
        super().hear(news)
        if self.is_mounted and (progress := self.vertui.progress) is not None:
            entitle(self.rows, below=progress_bar(progress))

    def show(self, items: Sequence[Taken]) -> None:
        """And what all of it takes."""
        super().show(items)
        self._heading.say(_heading(self.rows.size.width))
        if (space := self._space) is not None:
            parts = size(space.packs_bytes + space.index_bytes + space.records_bytes)
            saved = f"{space.dedup:.1f}x by deduplication, {space.compression:.1f}x by compression"
            entitle(self.rows, f"store · {parts}", saved)
            self._say(_beside(space), theme.MUTED)

    def on_resize(self) -> None:
        """Another width has other columns."""
        self.call_after_refresh(lambda: self._heading.say(_heading(self.rows.size.width)))

    def _say(self, text: str, colour: str) -> None:
        self._said.say(Text(printable(text), style=colour))

    # -- keys ------------------------------------------------------------------------------------------------

    def action_reread(self) -> None:
        """Read it again."""
        self.reread()

    def action_go_there(self) -> None:
        """Leave for the branch or commit, in the tree."""
        row, tree = self.rows.current, self.vertui.selection.newest
        nodes: tuple[Node, ...] = (*tree.branches, *tree.commits)
        node = next((node for node in nodes if row and row.node and node.id == row.node), None)
        if node is not None:
            self.vertui.go_to_node(node)
        elif row is not None:
            self._say(f"{row.kind} {row.name} is nowhere in the tree", theme.RED)

    @changing
    def action_gc(self) -> None:
        """Show what would be freed."""
        self._plan(Gc())

    def _plan(self, verb: Gc) -> None:
        def answer(said: Answer | None) -> None:
            if said is Answer.OTHER:
                self._plan(Gc(not verb.cache))
            elif said is Answer.DO:
                self.vertui.call(
                    "freeing what nothing needs", lambda: self.vertui.client.do(verb), self._freed
                )

        def show(plan: Plan) -> None:
            footing = Text(
                f"frees {size(plan.frees_bytes)}; nothing that can be asked for goes", style=theme.MUTED
            )
            other = "leave the cache" if verb.cache else "empty the cache too"
            self.app.push_screen(
                PlanDialog("free what nothing needs", plan.lines, footing, "Free", other), answer
            )

        self.vertui.call("planning", lambda: self.vertui.client.plan(verb), show)

    @changing
    def action_compact(self) -> None:
        """Rewrite packs that hold little that is needed."""
        self.vertui.call("packing anew", lambda: self.vertui.client.do(Compact()), self._freed)

    def _freed(self, count: int) -> None:
        toast(self.app, f"{size(count)} freed", TOAST_S, error=False)
        self.reread()

    def action_check(self) -> None:
        """Ask how closely, and look."""

        def go(answers: Answers | None) -> None:
            if answers is not None:
                self._check(float(answers["share"] or 0), rebuild=answers["rebuild"].lower() in YES)

        fields = (
            Field("share", "read data", "0", "percent of pages that are read and verified too", _share),
            Field("rebuild", "rebuild", "n", "y: first make the index, and missing rows, again", _yes_or_no),
        )
        self.app.push_screen(FormDialog("check what is stored", fields, "Check", command=_as_command), go)

    def _check(self, share: float, *, rebuild: bool) -> None:
        client = self.vertui.client

        def work() -> tuple[list[str], list[StoreProblem]]:
            lines = client.rebuild(new_key()) if rebuild else []
            return lines, client.check_store(share, new_key())

        def told(found: tuple[list[str], list[StoreProblem]]) -> None:
            lines, problems = found
            good = Text("everything is as it was written", style=theme.GREEN)
            shown = [Text(printable(line), style=theme.TEXT) for line in lines]
            shown += [Text(problem_line(one), style=theme.RED) for one in problems] or [good]
            self.app.push_screen(ReadDialog(f"check: {counted(len(problems), 'problem')}", shown))
            self.reread()

        self.vertui.call("checking what is stored", work, told)


def taken(space: StoreSpace, tree: Tree) -> list[Taken]:
    """All that takes something."""
    ids = {branch.name: branch.id for branch in tree.branches}
    images = [
        Taken("image", image.name, (None, image.size_bytes, None, None), image.golden)
        for image in tree.images
    ]
    branches = [
        Taken(
            "branch", one.branch, (one.logical_bytes, one.stored_bytes, one.shared_bytes, one.unique_bytes),
            ids.get(one.branch, ""),
        )
        for one in space.branches
    ]  # fmt: skip
    commits = [
        Taken(
            "commit", short(one.commit), (one.logical_bytes, one.stored_bytes, one.shared_bytes, one.unique_bytes),
            one.commit,
        )
        for one in sorted(space.commits, key=lambda one: -one.unique_bytes)
    ]  # fmt: skip
    return [*images, *branches, *commits]


def problem_line(problem: StoreProblem) -> str:
    """What is amiss, and where."""
    page = "" if problem.page is None else f"page {problem.page}"
    where = " ".join(word for word in (short(problem.commit), problem.medium, page) if word)
    return printable(f"{where}: {problem.what}" if where else problem.what)


def _beside(space: StoreSpace) -> str:
    parts = {
        "images": space.images_bytes, "disk layers": space.layers_bytes, "cache": space.cache_bytes,
        "journals": space.journals_bytes, "logs": space.logs_bytes, "reserve": space.reserve_bytes,
    }  # fmt: skip
    crash = f", {size(space.crash_bytes)} of these layers crash disks" if space.crash_bytes else ""
    return (
        "beside it: " + ", ".join(f"{name} {size(count)}" for name, count in parts.items() if count) + crash
    )


def _shown_columns(width: int) -> int:
    """How many of the columns there is room for."""
    return max(1, min(len(COLUMNS), (width - 30) // NUMBER))


def _heading(width: int) -> Text:
    shown = _shown_columns(width)
    names = "".join(f"{name:>{NUMBER}}" for name in COLUMNS[-shown:])
    return Text(f"{names:>{width}}", style=theme.MUTED, no_wrap=True)


def _draw(one: Taken, width: int) -> Text:
    shown = _shown_columns(width + 1)
    right = Text()
    for place, count in [*enumerate(one.sizes)][-shown:]:
        style = theme.BRIGHT if COLUMNS[place] == "unique" else theme.TEXT
        right.append(f"{'' if count is None else size(count):>{NUMBER}}", style)
    left = Text.assemble((f"{one.kind:<7} ", theme.MUTED), (printable(one.name), f"bold {theme.BRIGHT}"))
    left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis", pad=True)
    return left.append(" ").append_text(right)


def _share(text: str) -> str | None:
    try:
        good = not text or 0 <= float(text) <= 100
    except ValueError:
        good = False
    return None if good else "a number from 0 to 100"


def _yes_or_no(text: str) -> str | None:
    return None if text.lower() in (*YES, *NO) else "y or n"


def _as_command(answers: Answers) -> str:
    words = ["vertui store check"]
    words += ["--read-data", answers["share"]] if float(answers["share"] or 0) else []
    return " ".join([*words, "--rebuild"] if answers["rebuild"].lower() in YES else words)
