"""Every action there is, once: keys, footer, help, palette and "copy as command" all read this registry.

Verbs with a place on the screen are found by themselves (`core.verbs`); the rest is written here. An action says by
itself whether it can run on a selection; what it then does is in `vertui.verbs`. Other screens bind an action's key by
its id, so that a key means there what it means here, and what else they bind is in `vertui.keymap`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
LEAST_FIT = 0.3  # of letters of a label: further apart they are no word
READ_ONLY = "the UI was started with --readonly, so it changes nothing: start it without to change anything"
_given: dict[str, str] = {}  # keys that a user's keymap gives, by action, as Textual spells them


def give_keys(keys: Mapping[str, str]) -> None:
    """Have actions named by these keys from now on, those that are not among them by their own."""
    _given.clear()
    _given.update(keys)


@dataclass(frozen=True)
class Action:
    """One thing a user can do. `refuse` gives the reason why not now, `command` its CLI form, if any.

    One that `changes` more than the screen is refused where the screen may only look.
    """

    id: str
    key: str
    label: str
    help: str
    command: Callable[[Selection], str] = lambda selection: ""  # what changes the screen alone has none
    refuse: Refuse = lambda selection: None
    footer: bool = False
    changes: bool = False

    @property
    def keys(self) -> str:
        """The keys in force, as Textual spells them, with commas between."""
        return _given.get(self.id, self.key)

    @property
    def key_label(self) -> str:
        """The first of them as printed."""
        return as_printed(self.keys.partition(",")[0])

    def fit(self, query: str) -> float:
        """How well it is what somebody looks for; 0 when it is not.

        Best is a label that begins so; then come all words as parts of what is said of it; then the letters of the
        label in their order, the closer together the better.
        """
        query, label = query.lower().strip(), self.label.lower()
        text = f"{label} {self.help} {self.key_label} {self.id}".lower()
        if all(word in text for word in query.split()):
            return 3.0 if label.startswith(query) else 2.0
        return _in_order(query.replace(" ", ""), label)


def _in_order(letters: str, label: str) -> float:
    """0 unless the label begins with the first letter and has the others behind it in order; up to 1."""
    if not label.startswith(letters[:1]):
        return 0.0
    place = -1
    for letter in letters:
        place = label.find(letter, place + 1)
        if place < 0:
            return 0.0
    return len(letters) / (place + 1)


KEY_LABELS = {
    "left": "←", "right": "→", "space": "space", "enter": "⏎", "escape": "esc",
    "exclamation_mark": "!", "quotation_mark": '"', "number_sign": "#", "dollar_sign": "$", "percent_sign": "%",
    "ampersand": "&", "apostrophe": "'", "left_parenthesis": "(", "right_parenthesis": ")", "asterisk": "*",
    "plus": "+", "comma": ",", "minus": "-", "full_stop": ".", "slash": "/", "colon": ":", "semicolon": ";",
    "less_than_sign": "<", "equals_sign": "=", "greater_than_sign": ">", "question_mark": "?", "at": "@",
    "left_square_bracket": "[", "backslash": "\\", "right_square_bracket": "]", "circumflex_accent": "^",
    "underscore": "_", "grave_accent": "`", "left_curly_bracket": "{", "vertical_line": "|",
    "right_curly_bracket": "}", "tilde": "~",
}  # fmt: skip


def as_printed(key: str) -> str:
    """A key, as Textual spells it, as it is printed."""
    return KEY_LABELS.get(key, key)


def _no_machine(selection: Selection) -> str | None:
    return None if selection.tree.branches else f"there is no machine yet: {BY_ID['up'].key_label} starts one"


def _no_build(selection: Selection) -> str | None:
    build = BY_ID["image_build"].key_label
    return None if selection.building else f"no image is being built: {build} builds one"


def _one(selection: Selection) -> str | None:
    return _several(selection) or (None if selection.targets else "nothing is selected")


def _several(selection: Selection) -> str | None:
    if len(selection.marked) < 2:
        return None
    return f"takes one, {len(selection.marked)} are marked: {BY_ID['unmark'].key_label} clears the marks"


def _branches(selection: Selection) -> str | None:
    if not selection.targets:
        return "nothing is selected"
    odd = next((node for node in selection.targets if not isinstance(node, Branch)), None)
    return f"{short(odd.id)} is a commit, not a branch" if odd else None


def _running(selection: Selection) -> str | None:
    """Or are suspended, and wake."""
    return _branches(selection) or _not_in(selection, (BranchState.RUNNING, BranchState.SUSPENDED))


def _away(selection: Selection) -> str | None:
    return "the daemon runs" if selection.connected else None


def _one_running(selection: Selection) -> str | None:
    return _one(selection) or _running(selection)


def _one_branch(selection: Selection) -> str | None:
    return _one(selection) or _branches(selection)


def _one_published(selection: Selection) -> str | None:
    if reason := _one_branch(selection):
        return reason
    key = BY_ID["publish"].key_label
    return None if selection.pages else f"no port of {selection.refs[0]} is published: {key} publishes one"


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
    if selection.now is not None:
        return _then_and_now(selection)
    if len(selection.marked) > MOST_COMPARED:
        return f"compares {MOST_COMPARED} at most, {len(selection.marked)} are marked"
    if len(selection.marked) > 2:
        return None
    mark = BY_ID["mark"].key_label
    return None if selection.pair else f"nothing to compare with: mark a second node with {mark}"


def _then_and_now(selection: Selection) -> str | None:
    """Why a branch cannot be compared with what it was."""
    if reason := _one_branch(selection):
        return reason
    if selection.then_and_now is not None:
        return None
    name, head = selection.branches[0].name, short(selection.branches[0].head)
    return f"{name} or its head of then, {head}, is there no more: {BY_ID['trash'].key_label} shows the trash"


def as_it_was() -> str:
    """Why nothing is done where the tree is shown as it was."""
    back = BY_ID["unmark"].key_label
    return f"the tree is shown as it was, and nothing is done to that: {back} leads back to now"


def _is_now(selection: Selection) -> str | None:
    return f"this is now: {BY_ID['earlier'].key_label} goes back" if selection.now is None else None


def _each(verb: str, tail: str) -> Callable[[Selection], str]:
    return lambda selection: " && ".join(f"vertui {verb} {ref} {tail}" for ref in selection.refs)


def _all(verb: str, tail: str = "") -> Callable[[Selection], str]:
    return lambda selection: " ".join(part for part in ("vertui", verb, *selection.refs, tail) if part)


def _plain(command: str) -> Callable[[Selection], str]:
    return lambda selection: command


def _diff(selection: Selection) -> str:
    if len(selection.marked) > 2:
        return " ".join(("vertui diff --multi", *selection.refs))
    return " ".join(("vertui diff --patch", *(selection.pair or ())))


AT = _plain("vertui tree --at ID")
WATCH = _each("exec", "--attach ID")
JOURNAL = _all("journal show")
LET, LET_ALL = _each("egress", "add"), _each("egress", "add --siblings")
WRITTEN = (
    Action("start", "D", "start daemon", "start the daemon that was stopped", _plain("vertui daemon start"), _away,
            changes=True),
    Action("exec", "e", "exec", "run a command in the selected branches", _all("exec", "-- CMD"), _running,
            footer=True, changes=True),
    Action("verb_line", "semicolon", "any verb", "type a verb that has no key: cp, sync, config, doctor",
            changes=True),
    Action("watch", "w", "watch", "live output of the selected branches, side by side", WATCH, _branches, footer=True),
    Action("board", "B", "scoreboard", "branches ranked by score, time, exit, files changed", _plain("vertui ls"),
            _no_machine),
    Action("swarms", "number_sign", "swarms", "ways tried at once: every try live, and beginning a swarm",
            _plain("vertui swarm ls")),
    Action("shell", "s", "shell", "a shell in the branch; ctrl+] leaves it open", _all("shell"), _one_running,
            footer=True, changes=True),
    Action("diff", "d", "diff", "compare with the parent, or up to eight marked nodes", _diff, _comparable,
            footer=True),
    Action("open", "o", "open", "open the branch's published port in the browser", _all("open"), _one_published),
    Action("ssh", "dollar_sign", "ssh command", "copy the command that logs in to the branch", _all("ssh"),
            _one_running),
    Action("let", "A", "allow refused", "let the branch reach what it was refused last", LET, _refused, changes=True),
    Action("let_siblings", "W", "allow for siblings", "the same, for all branches of its fork", LET_ALL, _refused,
            changes=True),
    Action("images", "i", "images", "the images, and building one", _plain("vertui image ls")),
    Action("log", "l", "log", "every operation, newest first", _plain("vertui log"), footer=True),
    Action("journal", "quotation_mark", "journal", "what was said and done in the branch", JOURNAL, _one_branch),
    Action("store", "F", "store", "what images, branches and commits take; freeing, checking",
            _plain("vertui store du")),
    Action("secrets", "f8", "secrets", "values that commands are given, by name; adding one",
            _plain("vertui secret ls")),
    Action("tokens", "grave_accent", "tokens", "who is let in by the daemon's port; adding one",
            _plain("vertui token ls")),
    Action("trash", "T", "trash", "what was pruned, and bringing it back", _plain("vertui trash ls")),
    Action("mark", "space", "mark", "mark the node, so that verbs act on all marked", refuse=_no_machine),
    Action("range", "v", "mark a range", "begin a range here, or mark what is in it", refuse=_no_machine),
    Action("unmark", "escape", "unmark", "clear range, marks and filter"),
    Action("filter", "slash", "filter", "show nodes by words, !not, re:, state:, score>, age<, changed:/PATH",
            refuse=_no_machine),
    Action("trunk", "at", "trunk", "go to the trunk", refuse=_no_machine),
    Action("parent", "left", "parent", "go to what the node came from"),
    Action("child", "right", "child", "go to the first that came from the node"),
    Action("next_sibling", "right_curly_bracket", "next sibling", "go to the next branch of the same fork"),
    Action("previous_sibling", "left_curly_bracket", "previous sibling", "go to the one before"),
    Action("best", "asterisk", "best score", "go to the best score, again to the next best", refuse=_no_machine),
    Action("letters", "apostrophe", "jump", "go to a row by the letters shown before it"),
    Action("earlier", "less_than_sign", "back in time", "the tree as it was, an operation earlier each time", AT),
    Action("later", "greater_than_sign", "on in time", "an operation later each time, at last now", refuse=_is_now),
    Action("fold", "z", "fold", "fold or unfold the run or siblings at the cursor"),
    Action("fold_all", "Z", "fold all", "unfold everything, fold everything, only what is long"),
    Action("sort", "equals_sign", "sort", "sort siblings by score, name, state, exit, changed, memory, cpu, age"),
    Action("turn", "tilde", "turn round", "sort siblings the other way round"),
    Action("unread", "full_stop", "next unread", "go to the next branch that did what you have not seen",
            refuse=_no_machine),
    Action("freeze", "p", "freeze", "hold the view still while machines go on"),
    Action("scroll", "J", "scroll detail", "J K by lines, ctrl+f ctrl+b by pages, ctrl+l its end"),
    Action("view", "V", "view", "detail, console, or both; 1 2 3 and tab go to tree, detail, console"),
    Action("menu", "enter", "menu", "what can be done with the selection"),
    Action("copy", "y", "copy as command", "copy an action's command line"),
    Action("cancel_build", "X", "cancel build", "end the image build; downloads are kept", refuse=_no_build,
            changes=True),
    Action("tour", "f4", "first steps", "six cards for the first minutes"),
    Action("words", "f1", "words", "what a branch is, a commit, the trunk and so on"),
    Action("palette", "colon", "palette", "find an action by its name"),
    Action("themes", "f3", "themes", "choose the colours: dark, light, colour-blind safe, the terminal's own"),
    Action("picture", "f2", "picture", "save the screen as a picture (SVG) in a file"),
    Action("help", "question_mark", "help", "all keys and actions", _plain("vertui --help"), footer=True),
    Action("quit", "q", "quit", "leave; machines run on", footer=True),
)  # fmt: skip
"""What is no verb, or one that takes a screen or a terminal of its own."""

GROUPS = {
    "machines": ("up", "fork", "pause", "suspend", "resume", "rename", "weigh", "image_build", "cancel_build", "images",
                 "store", "start"),
    "work": ("exec", "watch", "shell", "score", "board", "swarms", "verb_line"),
    "history": ("commit", "policy", "diff", "promote", "prune", "restore", "tag", "undo", "redo", "log", "journal",
                "trash", "earlier", "later"),
    "ports and reach": (
        "publish", "unpublish", "open", "ssh", "egress", "let", "let_siblings", "link", "unlink",
        "secrets", "tokens",
    ),
    "marks": ("mark", "range", "unmark"),
    "moving about": (
        "trunk", "parent", "child", "next_sibling", "previous_sibling", "best", "letters", "filter", "fold",
        "fold_all", "sort", "turn", "unread",
    ),
    "the screen": (
        "view", "scroll", "freeze", "menu", "palette", "copy", "themes", "picture", "words", "tour", "help", "quit",
    ),
}  # fmt: skip
"""What belongs together, as help shows it; verbs that no group names are the last of `machines`."""

FIRST = (
    "start", "fork", "commit", "exec", "watch", "board", "shell", "diff", "promote", "prune", "undo", "redo", "pause",
    "suspend", "resume", "score",
)  # fmt: skip
"""What the footer and the menu begin with; all else follows group by group."""


OF_THE_PAST = {
    "earlier", "later", "diff", "unmark", *GROUPS["moving about"], *GROUPS["the screen"], "images", "log", "trash",
} - {"unread", "freeze", "copy"}  # fmt: skip
"""What can be done where the tree is shown as it was: look, and move about it."""


def group_of(action: Action) -> str:
    """The group that an action is in."""
    return next((group for group, ids in GROUPS.items() if action.id in ids), "machines")


def _actions() -> tuple[Action, ...]:
    verbs = [verb for verb in all_verbs() if isinstance(verb.screen, Entry)]
    found = [*(_derived(verb, verb.screen) for verb in verbs), *WRITTEN]  # type: ignore[arg-type]
    order = [*FIRST, *(id for ids in GROUPS.values() for id in ids)]
    places = {id: place for place, id in reversed([*enumerate(order)])}
    found.sort(key=lambda action: places.get(action.id, places["view"]))
    return tuple(map(_guarded, found))


def _guarded(action: Action) -> Action:
    """The same, refused where the screen may only look, and in the past unless it belongs there."""
    why, changes, belongs = action.refuse, action.changes, action.id in OF_THE_PAST

    def refuse(selection: Selection) -> str | None:
        if selection.read_only and changes:
            return READ_ONLY
        return as_it_was() if selection.now is not None and not belongs else why(selection)

    return replace(action, refuse=refuse)


def _derived(verb: type[Verb[Any]], entry: Entry) -> Action:
    def refuse(selection: Selection) -> str | None:
        return (_several(selection) if asking.takes_one(verb) else None) or asking.refuse(verb, selection)

    return Action(
        identifier(name_of(verb)), entry.key, entry.label, entry.help, partial(asking.command, verb), refuse,
        entry.footer, True,
    )  # fmt: skip


ACTIONS = _actions()
DERIVED = tuple(identifier(name_of(verb)) for verb in all_verbs() if isinstance(verb.screen, Entry))
"""The ids of those that are verbs."""
BY_ID = {action.id: action for action in ACTIONS}
