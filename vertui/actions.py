"""Every action there is, once: keys, footer, help, palette and "copy as command" all read this registry.

Verbs with a place on the screen are found by themselves (`core.verbs`); the rest is written here. An action says by
itself whether it can run on a selection; what it then does is in `vertui.verbs`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.model import Branch, BranchState
from core.verbs import all_verbs
from core.verbs.base import Entry, Verb, identifier, name_of
from vertui import asking
from vertui.selection import Selection
from vertui.text import short

MOST_COMPARED = 8  # columns of a matrix that a terminal has room for
Refuse = Callable[[Selection], str | None]


@dataclass(frozen=True)
class Action:
    """One thing a user can do. `refuse` gives the reason why not now, `command` its CLI form, if any."""

    id: str
    key: str
    label: str
    help: str
    command: Callable[[Selection], str]
    refuse: Refuse = lambda selection: None
    footer: bool = False

    @property
    def key_label(self) -> str:
        """The key as printed."""
        return KEY_LABELS.get(self.key, self.key)

    def fits(self, words: list[str]) -> bool:
        """Is each of these, in small letters, a part of what is said of it?"""
        text = f"{self.label} {self.help} {self.key_label} {self.id}".lower()
        return all(word in text for word in words)


KEY_LABELS = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "full_stop": ".",
    "at": "@",
    "left": "←",
    "right": "→",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "asterisk": "*",
    "apostrophe": "'",
    "equals_sign": "=",
    "minus": "-",
    "space": "space",
    "enter": "⏎",
    "escape": "esc",
}


def _no_machine(selection: Selection) -> str | None:
    return None if selection.tree.branches else "there is no machine yet: n starts one"


def _no_build(selection: Selection) -> str | None:
    return None if selection.building else "no image is being built: b builds one"


def _one(selection: Selection) -> str | None:
    if len(selection.marked) > 1:
        return f"takes one, {len(selection.marked)} are marked: esc clears the marks"
    return None if selection.targets else "nothing is selected"


def _branches(selection: Selection) -> str | None:
    if not selection.targets:
        return "nothing is selected"
    odd = next((node for node in selection.targets if not isinstance(node, Branch)), None)
    return f"{short(odd.id)} is a commit, not a branch" if odd else None


def _running(selection: Selection) -> str | None:
    return _branches(selection) or _not_in(selection, (BranchState.RUNNING,))


def _away(selection: Selection) -> str | None:
    return "the daemon runs" if selection.connected else None


def _one_running(selection: Selection) -> str | None:
    return _one(selection) or _running(selection)


def _one_published(selection: Selection) -> str | None:
    if reason := _one(selection) or _branches(selection):
        return reason
    return None if selection.pages else f"no port of {selection.refs[0]} is published: O publishes one"


def _refused(selection: Selection) -> str | None:
    if reason := _branches(selection):
        return reason
    other = next((branch.name for branch in selection.branches if branch.refused is None), None)
    return f"{other} was refused nothing outside" if other else None


def _not_in(selection: Selection, states: tuple[BranchState, ...]) -> str | None:
    for branch in selection.branches:
        if branch.state not in states:
            return f"{branch.name} is {branch.state}"
    return None


def _comparable(selection: Selection) -> str | None:
    if len(selection.marked) > MOST_COMPARED:
        return f"compares {MOST_COMPARED} at most, {len(selection.marked)} are marked"
    if len(selection.marked) > 2:
        return None
    return None if selection.pair else "nothing to compare with: mark a second node with space"


def _each(verb: str, tail: str) -> Callable[[Selection], str]:
    return lambda selection: " && ".join(f"vertui {verb} {ref} {tail}" for ref in selection.refs)


def _all(verb: str, tail: str = "") -> Callable[[Selection], str]:
    return lambda selection: " ".join(part for part in ("vertui", verb, *selection.refs, tail) if part)


def _plain(command: str) -> Callable[[Selection], str]:
    return lambda selection: command


def _none(selection: Selection) -> str:
    """What only changes how the screen looks."""
    return ""


def _diff(selection: Selection) -> str:
    if len(selection.marked) > 2:
        return " ".join(("vertui diff --multi", *selection.refs))
    return " ".join(("vertui diff --patch", *(selection.pair or ())))


WATCH = _each("exec", "--attach ID")
LET, LET_ALL = _each("egress", "add"), _each("egress", "add --siblings")
WRITTEN = (
    Action("start", "D", "start daemon", "start the daemon that was stopped", _plain("vertui daemon start"), _away),
    Action("exec", "e", "exec", "run a command in the selected branches", _all("exec", "-- CMD"), _running, True),
    Action("watch", "w", "watch", "live output of the selected branches, side by side", WATCH, _branches, True),
    Action("board", "B", "scoreboard", "branches ranked by score, time and exit", _plain("vertui ls"), _no_machine),
    Action("shell", "s", "shell", "a shell in the branch; ctrl+] leaves it open", _all("shell"), _one_running, True),
    Action("diff", "d", "diff", "compare with the parent, or up to eight marked nodes", _diff, _comparable, True),
    Action("open", "o", "open", "open the branch's published port in the browser", _all("open"), _one_published),
    Action("let", "A", "allow refused", "let the branch reach what it was refused last", LET, _refused),
    Action("let_siblings", "W", "allow for siblings", "the same, for all branches of its fork", LET_ALL, _refused),
    Action("images", "i", "images", "the images, and building one", _plain("vertui image ls")),
    Action("log", "l", "log", "every operation, newest first", _plain("vertui log"), footer=True),
    Action("trash", "T", "trash", "what was pruned, and bringing it back", _plain("vertui trash ls")),
    Action("mark", "space", "mark", "mark the node, so that verbs act on all marked", _none, _no_machine),
    Action("unmark", "escape", "unmark", "clear marks and filter", _none),
    Action("filter", "slash", "filter", "show nodes by words, !not, re:, state:, score>, age<", _none, _no_machine),
    Action("trunk", "at", "trunk", "go to the trunk", _none, _no_machine),
    Action("parent", "left", "parent", "go to what the node came from", _none),
    Action("child", "right", "child", "go to the first that came from the node", _none),
    Action("next_sibling", "right_curly_bracket", "next sibling", "go to the next branch of the same fork", _none),
    Action("previous_sibling", "left_curly_bracket", "previous sibling", "go to the one before", _none),
    Action("best", "asterisk", "best score", "go to the best score, again to the next best", _none, _no_machine),
    Action("letters", "apostrophe", "jump", "go to a row by the letters shown before it", _none),
    Action("fold", "z", "fold", "fold or unfold the run or siblings at the cursor", _none),
    Action("fold_all", "Z", "fold all", "unfold everything, fold everything, only what is long", _none),
    Action("sort", "equals_sign", "sort", "sort siblings by score, name, state, changed, memory, age", _none),
    Action("turn", "minus", "sort backwards", "sort siblings the other way round", _none),
    Action("unread", "full_stop", "next unread", "go to the next branch that did what you have not seen", _plain(""),
            _no_machine),
    Action("freeze", "p", "freeze", "hold the view still while machines go on", _none),
    Action("scroll", "J", "scroll detail", "J K by lines, ctrl+f ctrl+b by pages, ctrl+l its end", _none),
    Action("view", "v", "view", "detail, console, or both", _none),
    Action("menu", "enter", "menu", "what can be done with the selection", _none),
    Action("copy", "y", "copy as command", "copy an action's command line", _none),
    Action("cancel_build", "X", "cancel build", "end the image build; downloads are kept", _plain(""), _no_build),
    Action("tour", "F", "first steps", "six cards for the first minutes", _plain("")),
    Action("words", "f1", "words", "what a branch is, a commit, the trunk and so on", _plain("")),
    Action("palette", "colon", "palette", "find an action by its name", _none),
    Action("help", "question_mark", "help", "all keys and actions", _plain("vertui --help"), footer=True),
    Action("quit", "q", "quit", "leave; machines run on", _none, footer=True),
)  # fmt: skip
"""What is no verb, or one that takes a screen or a terminal of its own."""

ORDER = (
    "start", "fork", "commit", "exec", "watch", "board", "shell", "diff", "promote", "prune", "undo", "redo", "pause",
    "resume", "score", "rename", "tag", "publish", "unpublish", "open", "egress", "let", "let_siblings", "link",
    "unlink", "up", "image_build",
)  # fmt: skip
"""Of those that come first; other verbs follow, and then what else was written."""


def _actions() -> tuple[Action, ...]:
    derived = [_derived(verb, verb.screen) for verb in all_verbs() if isinstance(verb.screen, Entry)]
    places = {id: place for place, id in enumerate(ORDER)}
    found = [(places.get(action.id, len(ORDER)), action) for action in derived]
    found += [(places.get(action.id, len(ORDER) + 1), action) for action in WRITTEN]
    return tuple(action for _, action in sorted(found, key=lambda one: one[0]))


def _derived(verb: type[Verb[Any]], entry: Entry) -> Action:
    return Action(
        identifier(name_of(verb)), entry.key, entry.label, entry.help,
        partial(asking.command, verb), partial(asking.refuse, verb), entry.footer,
    )  # fmt: skip


ACTIONS = _actions()
DERIVED = tuple(identifier(name_of(verb)) for verb in all_verbs() if isinstance(verb.screen, Entry))
"""The ids of those that are verbs."""
BY_ID = {action.id: action for action in ACTIONS}
