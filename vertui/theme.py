"""Colours by their names, and what each state looks like. `theme.tcss` says where they go.

They are those of the first theme. What is drawn in them is shown in another's by `vertui.themes`, as it leaves for the
terminal: nothing that draws needs to know which theme is worn.
"""

from core.model import Branch, BranchState, Commit, CommitState, OperationState

GROUND = "#0e1215"
RAISED = "#141a1e"
SELECTED = "#22303a"
BORDER = "#2c373f"
TEXT = "#c8d1d6"
BRIGHT = "#eef3f5"
MUTED = "#75838c"
FAINT = "#485660"
TEAL = "#72bcc6"
GREEN = "#8cc48a"
GOLD = "#dcb56c"
RED = "#e07f7a"
VIOLET = "#ab99dc"
BLUE = "#82a8e0"

BLACK = "#1c2429"  # of a program in a terminal, and its brighter colours
LIGHTER = {
    RED: "#f09a95", GREEN: "#a8dba6", GOLD: "#f2cf8c", BLUE: "#a0c2f5", VIOLET: "#c6b6f2", TEAL: "#92d7e0",
}  # fmt: skip
ADDED_GROUND, ADDED_WORDS = "#15231a", "#25502f"
REMOVED_GROUND, REMOVED_WORDS = "#2a1819", "#632a2b"
FOUND = "#5a4a1c"
SYNTAX = {  # kinds of `vertui.compare.colourist`
    "Keyword": VIOLET, "String": GREEN, "Comment": MUTED, "Number": GOLD, "Name.Function": BLUE, "Name.Class": BLUE,
    "Name.Builtin": TEAL, "Operator": TEAL, "Name.Tag": BLUE,
}  # fmt: skip

LANES = ("#5b8f98", "#8a7fb5", "#a98c56", "#6f9a6d", "#a5706d", "#6787b3")
PREFIXES = (TEAL, GOLD, VIOLET, GREEN, BLUE, RED)

BRANCH_COLOURS = {
    BranchState.STARTING: TEAL,
    BranchState.RUNNING: GREEN,
    BranchState.PAUSED: GOLD,
    BranchState.SUSPENDED: BLUE,
    BranchState.STOPPED: MUTED,
    BranchState.LOST: VIOLET,
    BranchState.FAILED: RED,
}
COMMIT_COLOURS = {CommitState.HOT: GOLD, CommitState.SEALED: TEAL, CommitState.GONE: RED}
OPERATION_MARKS = {
    OperationState.INTENT: ("◌", TEAL),
    OperationState.DONE: ("✓", GREEN),
    OperationState.FAILED: ("✗", RED),
    OperationState.UNDONE: ("↶", MUTED),
}


LATE = "✗ late"  # what its time limit ended


def exit_mark(code: int, timed_out: bool) -> tuple[str, str]:
    """What a command's end looks like."""
    if code == 0:
        return "✓", GREEN
    return LATE if timed_out else f"✗ {code}", RED


def colour_of(item: Branch | Commit) -> str:
    """The colour of a node's state."""
    return COMMIT_COLOURS[item.state] if isinstance(item, Commit) else BRANCH_COLOURS[item.state]
