"""What each action does: ask if need be, call the daemon in a thread, say what came of it.

An action that is a verb is done as its value says (`core.verbs`); what is special has a method of its name in `Verbs`.
Nothing here blocks: dialogs answer through callbacks, and calls through `BaseApp.call`.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, cast

from rich.text import Text

from core.daemon.client import GOES_ON
from core.model import Operation, OperationState, Plan, PlanSection
from core.ports import url
from core.reach import spelled
from core.verbs import all_verbs
from core.verbs.base import Entry, Planned, Verb, identifier, name_of
from core.verbs.egress import ADD, Egress
from core.verbs.redo import Redo
from core.verbs.undo import Undo
from vertui import asking, theme
from vertui.actions import BY_ID
from vertui.base import BaseApp
from vertui.first_steps import FirstSteps
from vertui.moves import Moves
from vertui.screens.dialogs import Answers, Field, FormDialog
from vertui.screens.main import MainScreen
from vertui.screens.plan import Answer, PlanDialog, plan_dialog
from vertui.screens.verb_form import VerbForm
from vertui.selection import Node, Selection, key_of
from vertui.text import printable


class Verbs(FirstSteps, Moves):
    """The actions of the main screen."""

    def __init__(self, app: BaseApp, main: MainScreen) -> None:
        self._app, self._main = app, main

    def act(self, action: str, selection: Selection) -> None:
        """Do an action: as it is written here, or as its verb's value says."""
        if written := getattr(self, action, None):
            written(selection)
            return
        verb = next(verb for verb in all_verbs() if identifier(name_of(verb)) == action)
        assert isinstance(verb.screen, Entry)
        if issubclass(verb, Planned):
            [made] = asking.made(verb, selection, {})
            self._plan(cast(Planned[Any], made), verb.screen)
        else:
            self._ask(verb, verb.screen, selection)

    # -- work ------------------------------------------------------------------------------------------------

    def exec(self, selection: Selection) -> None:
        """Ask for the command, then show its output."""

        from vertui.screens.exec import exec_form, exec_of
        from vertui.screens.watch import WatchScreen

        def go(answers: Answers | None) -> None:
            if answers is not None:
                self._app.push_screen(WatchScreen(selection.refs, exec_of(self._app, answers)))

        self._app.push_screen(exec_form(self._app, selection.refs), go)

    def verb_line(self, selection: Selection) -> None:
        """Open a line for any verb. A page's is of another machine, and it could do there what no key of ours does."""
        from vertui.screens.verb_line import VerbLine

        if self._app.page is not None:
            self._app.fail("a page has no command line: type it where vertui serves this page")
        else:
            self._app.push_screen(VerbLine())

    def watch(self, selection: Selection) -> None:
        """Open the output of each."""
        from vertui.screens.watch import WatchScreen

        self._app.push_screen(WatchScreen(selection.refs))

    def board(self, selection: Selection) -> None:
        """Open the scoreboard, of the marked branches where several are."""
        from vertui.screens.board import BoardScreen

        self._app.push_screen(BoardScreen(selection.refs if len(selection.marked) > 1 else ()))

    def swarms(self, selection: Selection) -> None:
        """Open the swarms."""
        from vertui.screens.swarms import SwarmsScreen

        self._app.push_screen(SwarmsScreen())

    def shell(self, selection: Selection) -> None:
        """Open a shell in a terminal of its own, or show the one that is open."""
        from vertui.screens.terminals import open_shell

        open_shell(self._app, selection.refs[0])

    def open(self, selection: Selection) -> None:
        """Open a published port's URL in the browser, and say it; of several ports ask which."""
        pages = {str(port.guest_port): url(port) for port in selection.pages}

        def show(page: str) -> None:
            told = {True: page, False: f"{page}  (no browser can be opened from here)"}
            self._app.browse(page, lambda opened: self._main.say(told[opened]))

        def go(answers: Answers | None) -> None:
            if answers is not None:
                show(pages[answers["port"]])

        if len(pages) == 1:
            show(next(iter(pages.values())))
            return
        ports = ", ".join(pages)
        field = Field(
            "port", "port", next(iter(pages)), f"one of {ports}",
            lambda text: None if text in pages else f"give one of {ports}",
        )  # fmt: skip
        self._app.push_screen(FormDialog(f"open {selection.refs[0]}", (field,), "Open"), go)

    def ssh(self, selection: Selection) -> None:
        """Copy the command that logs in: it is for another terminal."""
        command = BY_ID["ssh"].command(selection)
        self._app.copy_to_clipboard(command)
        self._main.say(f"copied: {command}", theme.GREEN)

    def let(self, selection: Selection) -> None:
        """Let each branch reach what it was refused last."""
        self._let(selection, siblings=False)

    def let_siblings(self, selection: Selection) -> None:
        """Let each, and all of its fork."""
        self._let(selection, siblings=True)

    def diff(self, selection: Selection) -> None:
        """Open the diff of the selection's pair, or the matrix of more."""
        from vertui.screens.diff import DiffScreen
        from vertui.screens.matrix import MatrixScreen

        if len(selection.marked) > 2:
            self._app.push_screen(MatrixScreen(selection.refs))
        elif selection.pair:
            self._app.push_screen(DiffScreen(*selection.pair))

    def undo(self, selection: Selection) -> None:
        """Show what would be taken back."""
        self._look_back("undo", OperationState.DONE)

    def redo(self, selection: Selection) -> None:
        """Show what would be done again."""
        self._look_back("redo", OperationState.UNDONE)

    # -- screens and view ------------------------------------------------------------------------------------

    def images(self, selection: Selection) -> None:
        """Open the images."""
        from vertui.screens.images import ImagesScreen

        self._app.push_screen(ImagesScreen())

    def store(self, selection: Selection) -> None:
        """Open the store."""
        from vertui.screens.store import StoreScreen

        self._app.push_screen(StoreScreen())

    def secrets(self, selection: Selection) -> None:
        """Open the secrets."""
        from vertui.screens.secrets import SecretsScreen

        self._app.push_screen(SecretsScreen())

    def tokens(self, selection: Selection) -> None:
        """Open the tokens."""
        from vertui.screens.tokens import TokensScreen

        self._app.push_screen(TokensScreen())

    def log(self, selection: Selection) -> None:
        """Open the operation log."""
        from vertui.screens.log import LogScreen

        self._app.push_screen(LogScreen())

    def journal(self, selection: Selection) -> None:
        """Open the branch's journal."""
        from vertui.screens.journal import JournalScreen

        self._app.push_screen(JournalScreen(selection.refs[0]))

    def trash(self, selection: Selection) -> None:
        """Open the trash."""
        from vertui.screens.trash import TrashScreen

        self._app.push_screen(TrashScreen())

    def help(self, selection: Selection) -> None:
        """Show all actions; where there is nothing yet, what things are as well."""
        if self._main.welcoming:
            self.words(selection)
        else:
            self._open_actions("help", selection)

    def menu(self, selection: Selection) -> None:
        """Show what can be done with the selection; on the first screen, begin."""
        if self._main.welcoming:
            self.begin()
        else:
            self._open_actions("menu", selection)

    def copy(self, selection: Selection) -> None:
        """Choose an action and copy its command line."""
        self._open_actions("copy", selection)

    def palette(self, selection: Selection) -> None:
        """Open the command palette."""
        self._app.action_command_palette()

    def mark(self, selection: Selection) -> None:
        """Mark the current node."""
        self._main.mark()

    def unmark(self, selection: Selection) -> None:
        """Clear marks and filter."""
        self._main.unmark()

    def filter(self, selection: Selection) -> None:
        """Ask for the filter."""
        self._main.ask_filter()

    def freeze(self, selection: Selection) -> None:
        """Hold the view, or go on."""
        self._main.toggle_frozen()

    def themes(self, selection: Selection) -> None:
        """Choose the colours."""
        from vertui.screens.themes import ThemesDialog

        self._app.push_screen(ThemesDialog())

    def picture(self, selection: Selection) -> None:
        """Save the screen as a picture."""
        self._app.picture()

    def start(self, selection: Selection) -> None:
        """Start the daemon."""
        self._app.start_daemon()

    def scroll(self, selection: Selection) -> None:
        """Scroll the detail."""
        self._main.action_scroll_rows(5)

    def view(self, selection: Selection) -> None:
        """The next arrangement of panes."""
        self._main.next_view()

    def quit(self, selection: Selection) -> None:
        """Leave. What goes on without us is said where we were started."""
        jobs = ", ".join(self._app.jobs)
        self._app.exit(message=Text(printable(f"{jobs}: {GOES_ON}")) if jobs else None)

    # -- parts -----------------------------------------------------------------------------------------------

    def _ask(self, verb: type[Verb[Any]], entry: Entry, selection: Selection) -> None:
        """Ask for what the selection does not tell, where there is any, and do it."""
        if asking.questions(verb, selection):
            here = self._main.tree_view.node

            def follow(children: Iterable[str]) -> None:
                if _same(here, self._main.tree_view.node):
                    self._main.follow(children)

            self._app.push_screen(VerbForm(verb, selection, follow))
            return
        for made in asking.made(verb, selection, {}):
            what = f"{entry.doing} {asking.subject(made)}".rstrip()
            self._app.call(what, partial(self._app.client.do, made))

    def _let(self, selection: Selection, *, siblings: bool) -> None:
        """What is seen is let, and not what is refused meanwhile."""
        for branch in selection.branches:
            if branch.refused is not None:
                verb = Egress(branch.name, ADD, (spelled(branch.refused.to),), siblings)
                what = f"letting {branch.name} reach {spelled(branch.refused.to)}"
                self._app.call(what, partial(self._app.client.do, verb))

    def _plan(self, verb: Planned[Any], entry: Entry) -> None:
        """Show what it would do; a key shows its variant."""
        flag, variant = entry.variant or ("", "")
        varied = bool(flag) and getattr(verb, flag)
        what = asking.subject(verb)

        def answer(plan: Plan, said: Answer | None) -> None:
            if said is Answer.OTHER:
                self._plan(replace(verb, **{flag: not varied}), entry)  # type: ignore[type-var]
            elif said is Answer.DO:
                self._app.call(f"{entry.doing} {what}", lambda: self._app.client.execute(plan))

        def show(plan: Plan) -> None:
            dialog = plan_dialog(
                plan, entry.label.capitalize(), "back to the gentle plan" if varied else variant
            )
            self._app.push_screen(dialog, lambda said: answer(plan, said))

        self._app.call(f"planning to {entry.label} {what}", lambda: self._app.client.plan(verb), show)

    def _look_back(self, verb: str, state: OperationState) -> None:
        """Show what would be done to what, by name, and do it."""

        def find() -> tuple[Operation, list[str]] | None:
            able = [one for one in self._app.client.log() if one.undoable and one.state is state]
            if verb == "redo":  # of what was undone the oldest was undone last
                able.reverse()
            return (able[0], self._app.client.turned(able[0].id)) if able else None

        def show(found: tuple[Operation, list[str]] | None) -> None:
            if found is None:
                self._app.tell(f"{verb}: there is nothing to {verb}")
                return
            operation, lines = found
            back = {"undo": ("redo", "does it again"), "redo": ("undo", "takes it back")}[verb]
            footing = Text(f"{BY_ID[back[0]].key_label} {back[1]}", style=theme.GREEN)
            head = f"{verb} #{operation.id}: {operation.summary or operation.verb}"
            sections = (PlanSection("what it does", len(lines)),)
            dialog = PlanDialog(
                verb,
                tuple(lines) or (head,),
                footing,
                verb.capitalize(),
                head=head if lines else "",
                sections=sections,
            )
            self._app.push_screen(dialog, act)

        def act(said: Answer | None) -> None:
            if said is Answer.DO:
                made = Undo() if verb == "undo" else Redo()
                self._app.call(f"{verb}ing", lambda: self._app.client.do(made))

        self._app.call(f"looking for what to {verb}", find, show)

    def _open_actions(self, mode: str, selection: Selection) -> None:
        from vertui.screens.actions import ActionsScreen

        self._app.push_screen(ActionsScreen(mode, selection), self._chosen)

    def _chosen(self, action: str | None) -> None:
        if action is not None:
            self._main.act(action)


def _same(one: Node | None, other: Node | None) -> bool:
    """Is the cursor still where it was?"""
    return (one and key_of(one)) == (other and key_of(other))
