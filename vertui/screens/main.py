"""The main screen: the tree at the left, detail and console at the right, the event line and the keys below."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.timer import Timer
from textual.widget import Widget

from core.errors import VertuiError
from core.model import Branch, BranchState, Command, Event, Process, Tree
from vertui import theme
from vertui.actions import ACTIONS, BY_ID
from vertui.columns import Sorting
from vertui.feed import News
from vertui.jumps import Jump
from vertui.plain import TextInput, entitle
from vertui.screens.base import BREAKPOINTS, SCROLL_BESIDE_KEYS, VertuiScreen, bound
from vertui.screens.inquiry import Inquiry
from vertui.screens.letters import LettersScreen, labels
from vertui.screens.scrub import Scrub
from vertui.screens.tour import is_first_start
from vertui.selection import ALIVE, NOTHING, Node, Selection, key_of
from vertui.since import Since
from vertui.strands import Strands
from vertui.text import counted
from vertui.widgets.console import ConsolePane
from vertui.widgets.detail import detail
from vertui.widgets.events import EventLine
from vertui.widgets.fold_detail import fold_detail
from vertui.widgets.footer import ActionFooter
from vertui.widgets.lines import LineView
from vertui.widgets.tree import TreeView
from vertui.widgets.welcome import Welcome

SETTLE_S = 0.12  # the cursor rests this long before its node is asked about: held keys ask nothing
VIEWS = ("both", "detail", "console")


class MainScreen(VertuiScreen):
    """Shows the newest tree and takes the keys of every action."""

    HORIZONTAL_BREAKPOINTS = BREAKPOINTS
    AUTO_FOCUS = ""  # whenever another screen closes, Textual would give the keys to the tree, hidden or not
    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_BESIDE_KEYS,
        *(bound(action.id, f"app.act({action.id!r})") for action in ACTIONS),
        *(Binding(str(number), f"go_to_pane({number})", show=False) for number in (1, 2, 3)),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.tree_view = TreeView(id="tree")
        self.event_line = EventLine(id="events")
        self._welcome = Welcome(id="welcome")
        self._filter = TextInput(
            hint="words  !not  re:^b  state:run  score>0.5  age<10m  changed>10M  changed:/etc", id="filter"
        )
        self._detail = LineView(id="detail")
        self._printed = ConsolePane(id="console")
        self._detail.can_focus = self._printed.can_focus = True
        self.scrub = Scrub(self)
        self._keys = ActionFooter(id="keys")
        self.shown: Tree = NOTHING
        self.frozen = False
        self.view = VIEWS[0]
        self._held: News | None = None
        self._stopped = False  # somebody stopped the daemon
        self._described = ""  # the key of the node in the detail
        self._children: tuple[str, ...] = ()  # of a fork, to go to when they are shown
        self._asked: dict[str, tuple[list[Command], list[Process]]] = {}
        self._settling: Timer | None = None

    def compose(self) -> ComposeResult:
        """All panes."""
        yield self.scrub.line
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield self.tree_view
                yield self._welcome
                yield self._filter
            with Vertical(id="right"):
                yield self._detail
                yield self._printed
                yield self.scrub.pane
        yield self.event_line
        yield self._keys

    def on_mount(self) -> None:
        """Titles, and a word."""
        self._inquiry = Inquiry(self.vertui, self._differs, self._differing)
        self.tree_view.inquire = self._inquiry.want
        entitle(self.tree_view, "tree")
        entitle(self._detail, "detail")
        entitle(self._printed, "console")
        self.say("looking for the daemon…", theme.TEAL)
        self.add_class(f"-{self.view}")
        self.vertui.look_as_left()
        self._focus_list()

    # -- what is shown ---------------------------------------------------------------------------------------

    @property
    def selection(self) -> Selection:
        """What verbs act on."""
        return Selection(
            self.shown, self.tree_view.node, self.tree_view.marked_nodes, not self._stopped, self.vertui.read_only,
            self.event_line.build is not None, self.scrub.now,
        )  # fmt: skip

    @property
    def welcoming(self) -> bool:
        """Is there nothing yet but the offer to begin?"""
        golden = all(not commit.parents for commit in self.shown.commits)
        return golden and not self.shown.branches

    def hear(self, news: News) -> None:
        """Show news, or keep it while the view is frozen or shows the past."""
        self.event_line.trouble(self.vertui.trouble)
        self._welcome.trouble(self.vertui.trouble)
        self._stopped, self.tree_view.stale = news.stopped, bool(news.error)
        if news.tree is None or self.frozen:  # else once the tree is shown
            self._keys.selection = self.selection
        if news.error and self.shown is NOTHING:
            self._offer(True)
        if news.fresh:
            self.tree_view.trouble = ""
            self._inquiry.again()
        if self.frozen or self.scrub.past:
            self._held = _newer(self._held, news)
            self.scrub.hear(news)
            return
        if news.fresh:
            self.event_line.progress = None  # what was under way may have ended meanwhile
        self.event_line.add(news.events)
        self._welcome.progress(self.event_line.build)
        if news.tree is not None and news.strands is not None:
            self._show_tree(news.tree, news.strands)
        self._title()
        if news.fresh or any(event.kind in ("branch", "operation") for event in news.events):
            self._settle()

    def say(self, text: str, colour: str = theme.GOLD) -> None:
        """A word in the event line."""
        self.event_line.notice(text, colour)

    def show_jobs(self, jobs: tuple[str, ...]) -> None:
        """Say what runs."""
        self.event_line.jobs(jobs)
        self._welcome.jobs(jobs)

    def failed(self, why: VertuiError) -> None:
        """What the first screen began came to nothing."""
        self._welcome.failed(str(why))

    def _show_tree(self, tree: Tree, strands: Strands) -> None:
        first, had_trunk, opened = not self.shown.branches, bool(self.shown.trunk), self.shown is NOTHING
        before, self.shown = self.tree_view.node, tree
        if first:
            self.say("")
        self.tree_view.show_tree(tree, strands)
        if tree.trunk and not had_trunk:  # a first machine is there before it is the trunk
            self.tree_view.jump(Jump.TRUNK)
        self._go_to_children()
        self._welcome.offer(tree)
        self._offer(self.welcoming)
        shows = opened and not tree.images and not self.vertui.read_only
        if shows and is_first_start(self.vertui.endpoint):
            self.vertui.perform("tour", self.selection)
        self._title()
        self._show_selection()
        if _machine(before) != _machine(self.tree_view.node):
            self._settle()

    # -- the past --------------------------------------------------------------------------------------------

    @property
    def newest(self) -> Tree:
        """The tree as it is, shown or held."""
        return (self._held.tree if self._held else None) or self.shown

    def show_past(self, tree: Tree, strands: Strands, otherwise: Mapping[str, str]) -> None:
        """Show the tree as it was, and what of it is `otherwise` now; what comes meanwhile is held."""
        self.shown = tree
        self.add_class("-past")
        self.tree_view.show_past(tree, strands, otherwise)
        self._offer(False)
        self._take_keys_from(self._printed)
        self._title()
        self._show_selection()

    def return_to_now(self, tree: Tree, strands: Strands) -> None:
        """Show the tree as it was left, then what came meanwhile."""
        self.shown = tree
        self.remove_class("-past")
        self.tree_view.return_from_past(tree, strands)
        self._offer(self.welcoming)
        self._take_keys_from(self.scrub.pane)
        self._title()
        self._show_selection()
        self._settle()
        self._hear_held()

    def _take_keys_from(self, hidden: Widget) -> None:
        if self.focused is hidden:
            self._focus_list()

    def _hear_held(self) -> None:
        if not self.frozen and self._held is not None:
            held, self._held = self._held, None
            self.hear(held)

    def _offer(self, welcoming: bool) -> None:
        """Show the offer to begin in place of the panes, or the panes. Hidden, the tree must take no keys."""
        self.event_line.quiet = welcoming
        if self.has_class("-welcoming") != welcoming:
            self.set_class(welcoming, "-welcoming")
            self._focus_list()

    def _focus_list(self) -> None:
        """The tree takes the keys, unless it is hidden by the offer to begin: that has them then."""
        self.set_focus(None if self.has_class("-welcoming") else self.tree_view)

    def _title(self) -> None:
        running = sum(branch.state is BranchState.RUNNING for branch in self.shown.branches)
        marked = len(self.tree_view.marked_nodes)
        marks = f" · {marked} marked" if marked else ""
        marks += " · read-only" if self.vertui.read_only else ""
        commits, branches = counted(len(self.shown.commits), "commit"), len(self.shown.branches)
        title = f"tree{' as it was' if self.scrub.past else ''}{marks} · {running} of {branches} running · {commits}"
        stale = "as it was before the daemon went away" if self.tree_view.stale else self.tree_view.told
        frozen = f"frozen: {BY_ID['freeze'].key_label} goes on"
        entitle(self.tree_view, title, frozen if self.frozen else stale)

    def describe(self) -> None:
        """Say anew what is known of the node under the cursor."""
        self._show_selection()

    def _show_selection(self) -> None:
        """Detail and keys for the node under the cursor; what must be asked comes when the cursor rests."""
        node = self.tree_view.node
        self.tree_view.read()
        self._keys.selection = self.selection
        asked = {} if self.scrub.past else self._asked  # what runs now was told of nobody then
        commands, processes = asked.get(key_of(node), ([], [])) if node else ([], [])
        width = self._detail.container_size.width - 1
        fold = self.tree_view.fold
        known = fold_detail(fold, width) if fold else detail(self.shown, node, commands, processes, width)
        self._detail.show([*self.scrub.about(node), *known])
        if self._described != (described := key_of(node) if node else ""):
            self._described = described
            self._detail.scroll_home(animate=False)

    def on_row_list_moved(self) -> None:
        """The cursor moved."""
        self.say("")
        if self.tree_view.marked_nodes:
            self._title()  # a range may have grown
        self._show_selection()
        self._settle()

    def on_row_list_chosen(self) -> None:
        """Enter on a node, or on a fold, which it opens."""
        self.act("fold" if self.tree_view.fold else "menu")

    def on_screen_resume(self) -> None:
        """What the console printed meanwhile."""
        self._printed.on_printed()

    def on_resize(self, event: Resize) -> None:
        """Facts stand in one column or two."""
        self.call_after_refresh(self._show_selection)

    # -- what must be asked ----------------------------------------------------------------------------------

    def _settle(self) -> None:
        if self._settling is not None:
            self._settling.stop()
        self._settling = self.set_timer(SETTLE_S, self._ask)

    def _ask(self) -> None:
        node, feed = self.tree_view.node, self.vertui.watcher.feed
        if self.scrub.past:  # nobody can be asked there
            return
        self._printed.look_at(feed, node)
        if feed is None or not isinstance(node, Branch) or node.state not in ALIVE:
            return
        branch = node.name

        def work() -> tuple[list[Command], list[Process]]:
            return feed.commands(branch), feed.processes(branch)

        self.vertui.ask(work, lambda answer: self._answered(node, *answer))

    def _answered(self, node: Branch, commands: list[Command], processes: list[Process]) -> None:
        self._asked = {key_of(node): (commands, processes)}
        current, feed = self.tree_view.node, self.vertui.watcher.feed
        if feed is None or current is None or key_of(current) != key_of(node):
            return
        self._printed.look_at_command(feed, commands)
        self._show_selection()

    # -- keys ------------------------------------------------------------------------------------------------

    def act(self, action: str) -> None:
        """Do an action, or say why it cannot be."""
        self.say("")
        selection = self.selection
        if reason := BY_ID[action].refuse(selection):
            self.say(why := f"{BY_ID[action].label}: {reason}")
            self.tell_cut(why)
        else:
            self.vertui.perform(action, selection)

    def mark(self) -> None:
        """Mark the node under the cursor, or no longer."""
        self.tree_view.toggle_mark()
        self._title()
        self._show_selection()

    def mark_range(self) -> None:
        """Begin a range of marks, or end it."""
        if self.tree_view.toggle_range():
            ends, forgets = BY_ID["range"].key_label, BY_ID["unmark"].key_label
            self.say(f"a range: {ends} ends it, {forgets} forgets it", theme.TEAL)
        self._title()
        self._show_selection()

    def unmark(self) -> None:
        """Leave the past; or forget the range, the marks and the filter."""
        if not self.has_class("-filtering") and self.scrub.leave():
            return
        self.tree_view.clear_marks()
        self.remove_class("-filtering")
        self.filter_by("")
        self._focus_list()
        self._title()
        self._show_selection()

    def ask_filter(self) -> None:
        """Open the filter's line."""
        self.add_class("-filtering")
        self._filter.focus()
        self.vertui.ask(self.tree_view.prepare_filter)

    def filter_by(self, text: str) -> None:
        """Show what this filter says."""
        self._filter.value = text
        self.tree_view.filter = text

    def _differs(self, question: Since) -> bool:
        """In a thread."""
        return self.vertui.client.changes(question.before, question.after, path=[question.path]).paths > 0

    def _differing(self, answers: dict[Since, bool | None]) -> None:
        self.tree_view.trouble = self._inquiry.trouble
        self.tree_view.answer(answers)
        self._title()

    def on_input_changed(self, event: TextInput.Changed) -> None:
        """Filter as it is typed."""
        self.tree_view.filter = event.value
        self._title()

    def on_input_submitted(self) -> None:
        """Keep the filter and go back to the tree."""
        self.remove_class("-filtering")
        self._focus_list()

    def scrolled(self) -> Iterable[Widget]:
        """The offer to begin; the pane that has the focus; the console where it is alone, else the detail."""
        if self.has_class("-welcoming"):
            return (self._welcome,)
        if self.focused in (self._detail, self._lowest):
            return (self.focused,)
        return (self._lowest if self.has_class("-console") else self._detail,)

    @property
    def _lowest(self) -> LineView:
        """The console, or what is in its place in the past."""
        return self.scrub.pane if self.scrub.past else self._printed

    def action_go_to_pane(self, number: int) -> None:
        """Give tree, detail or console the keys; one that is hidden is shown for it."""
        pane = (self.tree_view, self._detail, self._lowest)[number - 1]
        if self.has_class("-welcoming"):
            return
        if not all(node.display for node in pane.ancestors_with_self if isinstance(node, Widget)):
            self.show_view("detail" if pane is self._detail else "console")
        self.set_focus(pane)  # at once: the next key is meant for it

    def jump(self, jump: Jump) -> None:
        """Put the cursor where a jump leads, or say why it leads nowhere."""
        self.say(self.tree_view.jump(jump))

    def go_to_unread(self) -> None:
        """Go to the next branch that did something since it was looked at, or say that there is none."""
        self.say(self.tree_view.go_to_unread())

    def jump_by_letters(self) -> None:
        """Show letters before the rows in view, and go to the row whose letters are typed."""
        letters = labels(min(self.tree_view.size.height, len(self.tree_view.items)))
        rows = self.tree_view.label(letters)

        def go(label: str | None) -> None:
            self.tree_view.label(())
            if label is not None:
                self.tree_view.go_to(rows[label])

        self.vertui.push_screen(LettersScreen(rows), go)

    def follow(self, children: Iterable[str]) -> None:
        """Go to the first of the children of a fork as soon as it is shown."""
        self._children = tuple(children)
        self._go_to_children()

    def _go_to_children(self) -> None:
        child = next((one for one in self.shown.branches if one.name in self._children), None)
        if child is not None:
            self._children = ()
            self.tree_view.open_fan(child)

    def fold(self) -> None:
        """Fold or unfold what the cursor is on."""
        if not self.tree_view.toggle_fold():
            self.say("nothing folds here")

    def fold_all(self) -> None:
        """Unfold everything, fold everything, or only what is long."""
        self.say(self.tree_view.toggle_all_folds(), theme.TEAL)

    def sort(self, sorting: Sorting) -> None:
        """Put siblings in another order."""
        self.tree_view.sort(sorting)
        self._title()

    def toggle_frozen(self) -> None:
        """Hold the view, or show what came meanwhile. The feed goes on either way."""
        self.frozen = not self.frozen
        self.set_class(self.frozen, "-frozen")
        self._title()
        self._hear_held()

    def next_view(self) -> None:
        """Both panes, the detail, the console."""
        self.show_view(VIEWS[(VIEWS.index(self.view) + 1) % len(VIEWS)])

    def show_view(self, view: str) -> None:
        """One of them. A pane that is hidden by it has the keys no more."""
        self.remove_class(f"-{self.view}")
        self.add_class(f"-{view}")
        self.view = view
        if self.focused is not None and not self.focused.display:
            self._focus_list()


def _machine(node: Node | None) -> tuple[object, ...]:
    """What must change before a node's machine is asked again."""
    return (node.id, node.state, node.pid) if isinstance(node, Branch) else ()


def _newer(old: News | None, new: News) -> News:
    """Both as one."""
    events: tuple[Event, ...] = (*(old.events if old else ()), *new.events)[-200:]
    if new.tree is not None or old is None:
        return News(new.tree, new.strands, events, new.error, new.fresh)
    return News(old.tree, old.strands, events, new.error, old.fresh or new.fresh)
