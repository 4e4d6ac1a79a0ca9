"""Every action there is, once: keys, footer, help, palette and "copy as command" all read this registry.

An action says by itself whether it can run on a selection; what it then does is in `vertui.verbs`, under its id.
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.model import Branch, BranchState, Commit, CommitState, Origin, Tree
from core.resume import resumable
from vertui.text import short

Node = Branch | Commit
ALIVE = (BranchState.RUNNING, BranchState.PAUSED)
NOTHING = Tree((), (), (), None)


def key_of(node: Node) -> str:
    """What stays the same while a node changes: its kind and id."""
    return f"{'c' if isinstance(node, Commit) else 'b'}{node.id}"


def ref_of(node: Node) -> str:
    """The REF that names a node on a command line."""
    return node.name if isinstance(node, Branch) else short(node.id)


@dataclass(frozen=True)
class Selection:
    """What a verb acts on: the marked nodes, or the one under the cursor."""

    tree: Tree = NOTHING
    node: Node | None = None
    marked: tuple[Node, ...] = ()
    connected: bool = True  # to a daemon

    @property
    def targets(self) -> tuple[Node, ...]:
        """The marked nodes, or else the current one."""
        return self.marked or ((self.node,) if self.node else ())

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The branches among the targets."""
        return tuple(node for node in self.targets if isinstance(node, Branch))

    @property
    def refs(self) -> tuple[str, ...]:
        """The REFs of the targets."""
        return tuple(ref_of(node) for node in self.targets)

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two REFs a diff compares: two marked ones, a marked and the current one, or parent and current."""
        if len(self.marked) == 2:
            return ref_of(self.marked[0]), ref_of(self.marked[1])
        if self.node is None or len(self.marked) > 2:
            return None
        if self.marked and key_of(self.marked[0]) != key_of(self.node):
            return ref_of(self.marked[0]), ref_of(self.node)
        parent = parent_of(self.node)
        return (short(parent), ref_of(self.node)) if parent else None


def parent_of(node: Node) -> str | None:
    """The commit a node came from."""
    if isinstance(node, Commit):
        return node.parents[0] if node.parents else None
    return node.parent or node.head


Refuse = Callable[[Selection], str | None]


@dataclass(frozen=True)
class Action:
    """One thing a user can do. `refuse` gives the reason why not now, `command` its CLI form."""

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


KEY_LABELS = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "at": "@",
    "space": "space",
    "enter": "⏎",
    "escape": "esc",
}


def _no_machine(selection: Selection) -> str | None:
    return None if selection.tree.branches else "there is no machine yet: n starts one"


def _one(selection: Selection) -> str | None:
    if len(selection.marked) > 1:
        return f"takes one, {len(selection.marked)} are marked: esc clears the marks"
    return None if selection.targets else "nothing is selected"


def _one_branch(selection: Selection) -> str | None:
    return _one(selection) or _branches(selection)


def _branches(selection: Selection) -> str | None:
    if not selection.targets:
        return "nothing is selected"
    odd = next((node for node in selection.targets if not isinstance(node, Branch)), None)
    return f"{short(odd.id)} is a commit, not a branch" if odd else None


def _alive(selection: Selection) -> str | None:
    return _branches(selection) or _not_in(selection, ALIVE)


def _running(selection: Selection) -> str | None:
    return _branches(selection) or _not_in(selection, (BranchState.RUNNING,))


def _resumable(selection: Selection) -> str | None:
    if reason := _branches(selection):
        return reason
    commits = selection.tree.commits
    return next(filter(None, (resumable(branch, commits) for branch in selection.branches)), None)


def _away(selection: Selection) -> str | None:
    return "the daemon runs" if selection.connected else None


def _one_running(selection: Selection) -> str | None:
    return _one(selection) or _running(selection)


def _not_in(selection: Selection, states: tuple[BranchState, ...]) -> str | None:
    for branch in selection.branches:
        if branch.state not in states:
            return f"{branch.name} is {branch.state}"
    return None


def _forkable(selection: Selection) -> str | None:
    """A machine that is there is committed first; without one the branch's head is forked."""
    if reason := _one(selection):
        return reason
    node = selection.targets[0]
    if not isinstance(node, Branch):
        return _commit_forkable(node)
    if node.state in ALIVE:
        return None
    if node.state is BranchState.STARTING:
        return f"{node.name} is starting"
    head = next((commit for commit in selection.tree.commits if commit.id == node.head), None)
    return _commit_forkable(head) if head else None


def _commit_forkable(commit: Commit) -> str | None:
    if commit.state is CommitState.GONE:
        return f"{short(commit.id)} is gone: it was in memory when the host died"
    if commit.origin is Origin.FOREIGN:
        return f"{short(commit.id)} is foreign: `vertui fork {short(commit.id)} --trust` starts it"
    return None if commit.quiesced else f"{short(commit.id)} is unquiesced: restorable, not forkable"


def _prunable(selection: Selection) -> str | None:
    """Not the trunk while others stay, nor what a branch or an image that stays stands on."""
    if not selection.targets:
        return "nothing is selected"
    tree, going = selection.tree, {branch.id for branch in selection.branches}
    trunk = next((branch for branch in selection.branches if branch.trunk), None)
    if trunk and len(tree.branches) > len(going):
        return f"{trunk.name} is the trunk: promote another branch first"
    heads = {branch.head: branch.name for branch in tree.branches if branch.id not in going}
    goldens = {image.golden: image.name for image in tree.images}
    for commit in (node for node in selection.targets if isinstance(node, Commit)):
        if commit.id in heads:
            return f"{short(commit.id)} is the head of {heads[commit.id]}: prune that branch instead"
        if commit.id in goldens:
            return f"{short(commit.id)} is golden: remove its image instead (i)"
    return None


def _promotable(selection: Selection) -> str | None:
    if reason := _one_branch(selection):
        return reason
    return f"{selection.branches[0].name} is the trunk already" if selection.branches[0].trunk else None


def _one_commit(selection: Selection) -> str | None:
    if reason := _one(selection):
        return reason
    node = selection.targets[0]
    return f"{node.name} is a branch: tags name commits" if isinstance(node, Branch) else None


def _comparable(selection: Selection) -> str | None:
    if len(selection.marked) > 2:
        return f"compares two, {len(selection.marked)} are marked"
    return None if selection.pair else "nothing to compare with: mark a second node with space"


def _startable(selection: Selection) -> str | None:
    return None if selection.tree.images else "there is no image yet: b builds one"


def _all(verb: str, tail: str = "") -> Callable[[Selection], str]:
    return lambda selection: " ".join(part for part in ("vertui", verb, *selection.refs, tail) if part)


def _each(verb: str, tail: str = "") -> Callable[[Selection], str]:
    """One command a target, for verbs that take one."""
    return lambda selection: " && ".join(
        " ".join(part for part in ("vertui", verb, ref, tail) if part) for ref in selection.refs
    )


def _plain(command: str) -> Callable[[Selection], str]:
    return lambda selection: command


def _diff(selection: Selection) -> str:
    return " ".join(("vertui diff --patch", *(selection.pair or ())))


ACTIONS = (
    Action("start", "D", "start daemon", "start the daemon that was stopped", _plain("vertui daemon start"), _away),
    Action("fork", "f", "fork", "start N copies of a machine or commit", _all("fork", "-n 4"), _forkable, True),
    Action("commit", "c", "commit", "commit the selected branches as they run", _each("commit"), _alive, True),
    Action("exec", "e", "exec", "run a command in the selected branches", _all("exec", "-- CMD"), _running, True),
    Action("shell", "s", "shell", "open a shell in the branch; exit comes back", _all("shell"), _one_running, True),
    Action("diff", "d", "diff", "compare with the parent, or two marked nodes", _diff, _comparable, True),
    Action("promote", "P", "promote", "make the branch the trunk; shows the plan", _all("promote"), _promotable, True),
    Action("prune", "x", "prune", "branches, commits into the trash; shows the plan", _all("prune"), _prunable, True),
    Action("undo", "u", "undo", "take the newest operation back; shows which", _plain("vertui undo"), footer=True),
    Action("redo", "U", "redo", "do what was undone last again; shows which", _plain("vertui redo")),
    Action("pause", "z", "pause", "quiesce and stop the selected machines", _each("pause"), _running),
    Action("resume", "r", "resume", "let paused machines run on, bring back ended ones", _each("resume"), _resumable),
    Action("score", "S", "score", "give the selected branches a score", _each("score", "NUMBER"), _branches),
    Action("rename", "R", "rename", "rename the branch", _all("rename", "NAME"), _one_branch),
    Action("tag", "t", "tag", "name the commit; the name is a REF", _all("tag", "NAME"), _one_commit),
    Action("up", "n", "new machine", "start a machine from an image", _plain("vertui up --name NAME"), _startable),
    Action("build", "b", "build image", "build an image: kernel, root disk, first boot", _plain("vertui image build")),
    Action("images", "i", "images", "the images, and building one", _plain("vertui image ls")),
    Action("log", "l", "log", "every operation, newest first", _plain("vertui log"), footer=True),
    Action("trash", "T", "trash", "what was pruned, and bringing it back", _plain("vertui trash ls")),
    Action("mark", "space", "mark", "mark the node, so that verbs act on all marked", _plain("vertui ls"), _no_machine),
    Action("unmark", "escape", "unmark", "clear marks and filter", _plain("vertui ls")),
    Action("filter", "slash", "filter", "show only nodes with some words", _plain("vertui ls"), _no_machine),
    Action("trunk", "at", "trunk", "go to the trunk", _plain("vertui ls"), _no_machine),
    Action("freeze", "p", "freeze", "hold the view still while machines go on", _plain("vertui tree")),
    Action("scroll", "J", "scroll detail", "J K by lines, ctrl+f ctrl+b by pages, ctrl+l its end", _plain("vertui ls")),
    Action("view", "v", "view", "detail, console, or both", _plain("vertui console @trunk")),
    Action("menu", "enter", "menu", "what can be done with the selection", _plain("vertui --help")),
    Action("copy", "y", "copy as command", "copy an action's command line", _plain("vertui --help")),
    Action("palette", "colon", "palette", "find an action by its name", _plain("vertui --help")),
    Action("help", "question_mark", "help", "all keys and actions", _plain("vertui --help"), footer=True),
    Action("quit", "q", "quit", "leave; machines run on", _plain("vertui daemon status"), footer=True),
)  # fmt: skip
BY_ID = {action.id: action for action in ACTIONS}
