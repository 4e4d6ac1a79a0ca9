"""What things are: the words of vertui and of this screen for who meets them first, and six cards to begin with.

Keys are never written here: the actions that a text is about are named, and drawn with the keys they have.
"""

from dataclasses import dataclass

from rich.text import Text

from vertui import theme
from vertui.actions import BY_ID, Action
from vertui.text import printable

KEY_WIDTH, LABEL_WIDTH = 6, 14


@dataclass(frozen=True)
class Explained:
    """A word, what it means, and the actions that have to do with it."""

    name: str
    meaning: str
    actions: tuple[str, ...] = ()


WORDS = (
    Explained(
        "image",
        "kernel, root disk and hardware of a machine, built once from Debian and booted once; machines begin "
        "where that boot ended",
        ("image_build", "images"),
    ),
    Explained(
        "branch",
        "a named line of work with a running machine of its own: a whole Linux with files, processes, memory "
        "and network",
        ("up", "exec", "shell"),
    ),
    Explained(
        "commit",
        "a snapshot of a machine that never changes: memory, disk and devices; any commit brings a running "
        "machine back",
        ("commit", "fork"),
    ),
    Explained(
        "head",
        "the last commit of a branch; what a branch did since is in its machine alone",
    ),
    Explained(
        "golden commit",
        "what an image begins with: the machine as it was when it had booted",
    ),
    Explained(
        "fork",
        "commit a branch and start N copies of it; each goes on where it stood, is a machine of its own and "
        "knows it: name, keys, random numbers, network",
        ("fork",),
    ),
    Explained(
        "trunk",
        "the machine that counts, a pointer to one branch: ★ in the tree, @trunk in commands",
        ("trunk",),
    ),
    Explained(
        "promote",
        "make a branch the trunk; nothing is copied and nothing ends, the old trunk stays a branch",
        ("promote",),
    ),
    Explained(
        "prune",
        "put branches and commits into the trash; a plan shows what goes, and for a day it can come back",
        ("prune", "trash", "undo"),
    ),
    Explained(
        "undo",
        "take the last operation back; what would come back is shown first",
        ("undo", "redo"),
    ),
    Explained(
        "diff",
        "what two machines or commits have different: files, processes, ports, memory",
        ("diff",),
    ),
    Explained(
        "score",
        "a number given to a branch, by a person or a command, so that branches can be ranked",
        ("score", "board"),
    ),
    Explained(
        "swarm",
        "many ways tried at once in forks of one state: each has a command, which scores it; the best is kept, or "
        "forked again",
        ("swarms",),
    ),
    Explained(
        "secret",
        "a value that commands are given by its name: it is in no commit, and no screen shows it",
        ("secrets",),
    ),
    Explained(
        "hot and sealed",
        "a hot commit ◆ lies in memory and can be forked already, a sealed one ○ is safe on disk",
    ),
    Explained(
        "quiesced",
        "taken while every process stood still: such a commit can be forked, another one can be restored",
    ),
    Explained(
        "REF",
        "how a machine or commit is named: a branch's name, @trunk, six digits of a commit's id, REF~2 for "
        "two below; main@crash for what the disk of main held when its machine died",
    ),
    Explained(
        "egress",
        "what a machine may reach outside: nothing, until it is let",
        ("egress",),
    ),
    Explained(
        "publish",
        "let this host reach a port of a machine",
        ("publish", "open"),
    ),
    Explained(
        "link",
        "let machines reach each other by their names",
        ("link",),
    ),
    Explained(
        "pause and suspend",
        "a paused machine stands still in memory, a suspended one is on disk alone until somebody needs it",
        ("pause", "suspend", "resume"),
    ),
    Explained(
        "states",
        "◌ starting, ● running, ◑ paused, ◔ suspended, ■ stopped, ? lost, ✗ failed; why stands behind the "
        "name",
    ),
    Explained(
        "a row",
        "• is output that you have not seen, ▸ a command that runs, ✓ one that ended well, ✗ 127 one that did"
        " not, ✗ late one that its time limit ended; then what it printed last; ▁▃▇ is how busy its processor was and"
        " how much memory it changed, look after look",
        ("unread",),
    ),
)


@dataclass(frozen=True)
class Card:
    """One card of the first steps; `here` is what its first action does on the first screen, where that is another."""

    title: str
    lines: tuple[str, ...]
    actions: tuple[str, ...]
    here: str = ""


CARDS = (
    Card(
        "machines that branch",
        (
            "An agent at work has more than files: processes, open sockets, warm caches, a half-typed shell. vertui"
            " keeps the whole running machine.",
            "First it needs an image, which takes some minutes once; then the first machine starts in a moment.",
        ),
        ("menu", "help", "palette"),
        "begin, on the first screen; later what can be done with the selection",
    ),
    Card(
        "the tree",
        (
            "● is a branch, a machine that runs; ○ is a commit, a state of one that never changes. The newest stands"
            " on top, what it came from below it.",
            "The cursor says what keys act on; with marks they act on several.",
        ),
        ("mark", "filter", "fold", "trunk"),
    ),
    Card(
        "fork",
        (
            "A fork makes N copies of a machine while it runs: they go on where it stood, each on its own.",
            "Give all of them one command, or each another one, and let them try.",
        ),
        ("fork", "commit", "up"),
    ),
    Card(
        "see what they do",
        (
            "Each row shows what its machine printed last, how its command ended, and how busy it is; • is what you"
            " have not read.",
        ),
        ("exec", "watch", "shell", "unread", "board"),
    ),
    Card(
        "decide",
        (
            "Compare two machines or eight: files, processes, ports, memory. Then the best one becomes the trunk, and"
            " the others go.",
        ),
        ("diff", "score", "promote", "prune"),
    ),
    Card(
        "nothing is lost",
        (
            "What destroys shows a plan first, and what was done can be undone. Machines run on when you leave.",
            "Every key of this screen is found by its name, and has a command for scripts.",
        ),
        ("undo", "log", "trash", "copy", "tour"),
    ),
)


def card_lines(card: Card) -> list[Text]:
    """What a card says, and the keys it is about."""
    lines = [line for said in card.lines for line in (Text(said, style=theme.TEXT), Text())]
    first, *others = map(BY_ID.__getitem__, card.actions)
    return [*lines, key_line(first, card.here or first.help), *(key_line(one, one.help) for one in others)]


def key_line(action: Action, does: str) -> Text:
    """An action with its key, and what it does."""
    text = Text.assemble((f"{action.key_label:<{KEY_WIDTH}}", f"bold {theme.TEAL}"))
    return text.append(f"{action.label:<{LABEL_WIDTH}} ", theme.BRIGHT).append(does, theme.MUTED)


def page(actions: tuple[Action, ...], searched: str) -> list[Text]:
    """Words and what they mean, then these actions; of both what has all that is searched for."""
    lines = list[Text]()
    for one in WORDS:
        if _has(f"{one.name} {one.meaning}", searched):
            keys = "  ".join(f"{BY_ID[id].key_label} {BY_ID[id].label}" for id in one.actions)
            lines.append(Text.assemble((one.name, f"bold {theme.BRIGHT}"), (f"  {keys}", theme.TEAL)))
            lines += [Text(one.meaning, style=theme.TEXT), Text()]
    if found := found_among(actions, searched):
        lines += [Text("keys", style=f"bold {theme.MUTED}"), *(key_line(one, one.help) for one in found)]
    return lines or [Text(f"nothing here is about {printable(searched)}", style=theme.MUTED)]


def found_among(actions: tuple[Action, ...], searched: str) -> list[Action]:
    """Those that have all that is searched for."""
    return [action for action in actions if _has(f"{action.label} {action.help}", searched)]


def _has(text: str, searched: str) -> bool:
    """Is each word that is searched for a part of it?"""
    text = text.lower()
    return all(word in text for word in searched.lower().split())
