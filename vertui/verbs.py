"""What each action does: ask if need be, call the daemon in a thread, say what came of it.

`Verbs` has one method a name in `vertui.actions.ACTIONS`. Nothing here blocks: dialogs answer through callbacks, and
calls through `BaseApp.call`.
"""

from collections.abc import Callable
from functools import partial

from rich.text import Text

from core.model import MAX_MEMORY, MAX_VCPUS, MIN_MEMORY, Forked, Operation, OperationState, Plan
from vertui import theme
from vertui.actions import Selection
from vertui.base import BaseApp
from vertui.screens.dialogs import (
    Answer,
    Answers,
    Field,
    FormDialog,
    PlanDialog,
    any_number,
    name,
    needed,
    optional,
    plan_dialog,
    whole_number,
)
from vertui.screens.main import MainScreen

MOST_CHILDREN = 100  # the engine refuses what does not fit; this keeps a slip of the finger from asking
MIB = 1 << 20


class Verbs:
    """The actions of the main screen."""

    def __init__(self, app: BaseApp, main: MainScreen) -> None:
        self._app, self._main = app, main

    # -- work ------------------------------------------------------------------------------------------------

    def fork(self, selection: Selection) -> None:
        """Ask for number, prefix and command."""
        ref = selection.refs[0]

        def go(answers: Answers | None) -> None:
            if answers is not None:
                n, prefix, command = int(answers["n"]), answers["prefix"] or None, answers["command"] or None
                self._app.call(
                    f"forking {ref}", lambda: self._app.client.fork(ref, n, prefix, command), self._forked
                )

        fields = (
            Field("n", "children", "4", check=whole_number(1, MOST_CHILDREN)),
            Field("prefix", "name prefix", hint="b: children are b1, b2, …", check=optional(name)),
            Field("command", "command", hint="started in each child"),
        )
        self._app.push_screen(FormDialog(f"fork {ref}", fields, "Fork"), go)

    def commit(self, selection: Selection) -> None:
        """Ask for the message."""

        def go(answers: Answers | None) -> None:
            if answers is not None:
                message = answers["message"]
                self._each("committing", selection, lambda ref: self._app.client.commit(ref, message))

        title = f"commit {', '.join(selection.refs)}"
        self._app.push_screen(FormDialog(title, (Field("message", "message"),), "Commit"), go)

    def exec(self, selection: Selection) -> None:
        """Ask for the command, then show its output."""

        def go(answers: Answers | None) -> None:
            if answers is not None:
                from vertui.screens.output import OutputScreen

                self._app.push_screen(OutputScreen(selection.refs, answers["command"], self._app.size.width))

        field = Field("command", "command", hint="run by sh in each", check=needed)
        self._app.push_screen(FormDialog(f"exec in {', '.join(selection.refs)}", (field,), "Run"), go)

    def shell(self, selection: Selection) -> None:
        """Leave the terminal to a shell, and come back."""
        self._app.run_outside("shell", selection.refs[0])

    def diff(self, selection: Selection) -> None:
        """Open the diff of the selection's pair."""
        from vertui.screens.diff import DiffScreen

        if selection.pair:
            self._app.push_screen(DiffScreen(*selection.pair))

    def promote(self, selection: Selection) -> None:
        """Show the plan; `n` prunes the losers too."""
        self._plan_promote(selection.refs[0], prune_losers=False)

    def prune(self, selection: Selection) -> None:
        """Show the plan; `n` skips the trash."""
        self._plan_prune(list(selection.refs), now=False)

    def undo(self, selection: Selection) -> None:
        """Show what would be taken back."""
        self._look_back("undo", OperationState.DONE)

    def redo(self, selection: Selection) -> None:
        """Show what would be done again."""
        self._look_back("redo", OperationState.UNDONE)

    def pause(self, selection: Selection) -> None:
        """Pause each."""
        self._each("pausing", selection, self._app.client.pause)

    def resume(self, selection: Selection) -> None:
        """Resume each."""
        self._each("resuming", selection, self._app.client.resume)

    def score(self, selection: Selection) -> None:
        """Ask for number and note."""

        def go(answers: Answers | None) -> None:
            if answers is not None:
                score, note = float(answers["score"]), answers["note"]
                self._each("scoring", selection, lambda ref: self._app.client.score(ref, score, note))

        fields = (Field("score", "score", check=any_number), Field("note", "note"))
        self._app.push_screen(FormDialog(f"score {', '.join(selection.refs)}", fields, "Score"), go)

    def rename(self, selection: Selection) -> None:
        """Ask for the name."""
        ref = selection.refs[0]

        def go(answers: Answers | None) -> None:
            if answers is not None:
                self._app.call(f"renaming {ref}", lambda: self._app.client.rename(ref, answers["name"]))

        self._app.push_screen(
            FormDialog(f"rename {ref}", (Field("name", "name", ref, check=name),), "Rename"), go
        )

    def tag(self, selection: Selection) -> None:
        """Ask for the tag."""
        ref = selection.refs[0]

        def go(answers: Answers | None) -> None:
            if answers is not None:
                self._app.call(f"tagging {ref}", lambda: self._app.client.tag(ref, answers["name"]))

        self._app.push_screen(FormDialog(f"tag {ref}", (Field("name", "name", check=name),), "Tag"), go)

    # -- images ----------------------------------------------------------------------------------------------

    def up(self, selection: Selection) -> None:
        """Ask for image and name."""

        def go(answers: Answers | None) -> None:
            if answers is not None:
                image, branch = answers["image"] or None, answers["name"]
                self._app.call(f"starting {branch}", lambda: self._app.client.up(image, branch))

        taken = {branch.name for branch in selection.tree.branches}
        fields = (
            Field("name", "name", "" if "main" in taken else "main", check=name),
            Field("image", "image", hint=selection.tree.images[-1].name, check=optional(name)),
        )
        self._app.push_screen(FormDialog("new machine", fields, "Start"), go)

    def build(self, selection: Selection) -> None:
        """Ask for name and size."""

        def go(answers: Answers | None) -> None:
            if answers is not None:
                options: dict[str, object] = {
                    "memory_bytes": int(answers["memory"]) * MIB,
                    "vcpus": int(answers["vcpus"]),
                    "packages": answers["packages"].split(),
                }
                self._app.call(
                    f"building {answers['name']}",
                    lambda: self._app.client.build_image(answers["name"], options),
                )

        fields = (
            Field("name", "name", "debian", check=name),
            Field("memory", "memory, MiB", "512", check=whole_number(MIN_MEMORY // MIB, MAX_MEMORY // MIB)),
            Field("vcpus", "vCPUs", "1", check=whole_number(1, MAX_VCPUS)),
            Field("packages", "packages", hint="more Debian packages, by spaces"),
        )
        self._app.push_screen(FormDialog("build an image", fields, "Build"), go)

    def begin(self) -> None:
        """The first screen's way: build the image if there is none, then start main."""
        client = self._app.client

        def start(done: object = None) -> None:
            self._app.call("starting main", lambda: client.up(None, "main"))

        if not self._main.selection.connected:
            self._app.start_daemon()
        elif self._app.jobs:
            self._main.say("already at it")
        elif self._main.shown.images:
            start()
        else:
            self._app.call("building debian", lambda: client.build_image("debian", {}), start)

    # -- screens and view ------------------------------------------------------------------------------------

    def images(self, selection: Selection) -> None:
        """Open the images."""
        from vertui.screens.images import ImagesScreen

        self._app.push_screen(ImagesScreen())

    def log(self, selection: Selection) -> None:
        """Open the operation log."""
        from vertui.screens.log import LogScreen

        self._app.push_screen(LogScreen())

    def trash(self, selection: Selection) -> None:
        """Open the trash."""
        from vertui.screens.trash import TrashScreen

        self._app.push_screen(TrashScreen())

    def help(self, selection: Selection) -> None:
        """Show all actions."""
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

    def trunk(self, selection: Selection) -> None:
        """Go to the trunk."""
        self._main.go_to_trunk()

    def freeze(self, selection: Selection) -> None:
        """Hold the view, or go on."""
        self._main.toggle_frozen()

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
        """Leave."""
        self._app.exit()

    # -- parts -----------------------------------------------------------------------------------------------

    def _forked(self, forked: Forked) -> None:
        failed = [f"{child.name}: {child.reason}" for child in forked.children if not child.ok]
        if failed:
            self._app.fail(f"{len(failed)} of {len(forked.children)} children failed: {'; '.join(failed)}")

    def _each(self, doing: str, selection: Selection, verb: Callable[[str], object]) -> None:
        for ref in selection.refs:
            self._app.call(f"{doing} {ref}", partial(verb, ref))

    def _plan_promote(self, ref: str, prune_losers: bool) -> None:
        def answer(plan: Plan, said: Answer | None) -> None:
            if said is Answer.OTHER:
                self._plan_promote(ref, prune_losers=True)
            elif said is Answer.DO:
                self._app.call(f"promoting {ref}", lambda: self._app.client.execute(plan))

        variant = "" if prune_losers else "prune the losers too"
        self._app.call(
            f"planning to promote {ref}",
            lambda: self._app.client.plan_promote(ref, prune_losers),
            lambda plan: self._app.push_screen(
                plan_dialog(plan, "Promote", variant), lambda said: answer(plan, said)
            ),
        )

    def _plan_prune(self, targets: list[str], now: bool) -> None:
        def answer(plan: Plan, said: Answer | None) -> None:
            if said is Answer.OTHER:
                self._plan_prune(targets, now=True)
            elif said is Answer.DO:
                self._app.call(f"pruning {', '.join(targets)}", lambda: self._app.client.execute(plan))

        variant = "" if now else "now: skip the trash, for good"
        self._app.call(
            "planning to prune",
            lambda: self._app.client.plan_prune(targets, now),
            lambda plan: self._app.push_screen(
                plan_dialog(plan, "Prune now" if now else "Prune", variant), lambda said: answer(plan, said)
            ),
        )

    def _look_back(self, verb: str, state: OperationState) -> None:
        def show(log: list[Operation]) -> None:
            found = next((one for one in log if one.undoable and one.state is state), None)
            if found is None:
                self._main.say(f"{verb}: there is nothing to {verb}")
                return
            footing = Text("U does it again" if verb == "undo" else "u takes it back", style=theme.GREEN)
            lines = (f"{verb} #{found.id}: {found.summary or found.verb}",)
            self._app.push_screen(PlanDialog(verb, lines, footing, verb.capitalize()), act)

        def act(said: Answer | None) -> None:
            if said is Answer.DO:
                call = self._app.client.undo if verb == "undo" else self._app.client.redo
                self._app.call(f"{verb}ing", call)

        self._app.call(f"looking for what to {verb}", self._app.client.log, show)

    def _open_actions(self, mode: str, selection: Selection) -> None:
        from vertui.screens.actions import ActionsScreen

        self._app.push_screen(ActionsScreen(mode, selection), self._chosen)

    def _chosen(self, action: str | None) -> None:
        if action is not None:
            self._main.act(action)
