"""The demo's scenes: the main job by the keys of the UI, what the keys do checked as the demo checks it."""

from functools import partial
from typing import Any

from core.commands import newest
from core.daemon.streams import STDOUT
from core.errors import GuestFailed
from core.model import Branch, BranchState
from core.patience import patient
from core.verbs.image.build import Build
from vertui.actions import BY_ID
from vertui.demo import IMAGE, PATCHES, RIGHT, Demo, numbers_of
from vertui.screens.comparing import ComparingScreen
from vertui.screens.plan import PlanDialog
from vertui.screens.verb_form import VerbForm
from vertui.selection import NOTHING
from vertui.stage.player import Player, StageTeller
from vertui.streaming import AttachRequest, Follower

CHILDREN = len(PATCHES)
LIMIT_S = int(patient(15.0))  # for the tests of one patch, which take two with a processor to themselves
TRY = f"sh /root/demo/try.sh {{i}} {LIMIT_S}"
OUT_OF_TIME = 124  # how `timeout` ends


async def play(player: Player, *, keep: bool = False, count: int = CHILDREN) -> None:
    """All of it, with so many children. With `keep` what it made stays."""
    demo = await player.work(partial(Demo, player.app.client, StageTeller(player)))
    children = [f"{demo.main}-b{number}" for number in range(1, count + 1)]
    await begin(player, demo)
    await fork(player, demo, children)
    await watch(player, children)
    await score(player, children)
    await compare(player, children)
    winner = await promote(player, demo, children)
    await take_back(player, demo, winner, children)
    await end(player, demo, keep=keep)


async def begin(player: Player, demo: Demo) -> None:
    """An image, a machine, a project and a service."""
    await player.until("a tree", lambda: player.tree is not NOTHING)
    if player.app.screen is not player.app.main:  # what greets somebody new
        await player.press("escape")
    await player.say(
        "Running machines, branched. All of it is real: a Debian with its own kernel boots on this host.",
        "begin",
    )
    if not player.tree.images:
        await player.say("First an image is built, once: packages, a kernel, a first boot.")
        await player.work(lambda: player.app.client.do(Build(IMAGE)))
    await player.say(
        f"{demo.main} starts: in its memory a service counts requests. A project comes in; its tests fail."
    )
    await player.work(demo.start)
    await player.until("the machine", lambda: player.branch(demo.main) is not None)
    select(player, demo.main)
    await player.say("Left the tree of commits and branches, right what the machine is, runs and prints.")


async def fork(player: Player, demo: Demo, children: list[str]) -> None:
    """Children of one commit, each with a command of its own."""
    await player.say(
        "Fork it: memory, processes, open connections and all. Each child runs a command of its own.", "fork"
    )
    await player.act("fork")
    await player.until("the form", lambda: isinstance(player.app.screen, VerbForm))
    await player.type(str(len(children)))
    await player.press("tab")
    await player.type(f"{demo.main}-b")
    await player.press("tab")
    await player.type(TRY)
    await player.say("The form says what it will take. {i} is the child's number: here it chooses a patch.")
    await player.press("enter")
    await player.until("children", lambda: all(is_running(player, name) for name in children))
    await player.until("the tree", lambda: player.app.screen is player.app.main)
    demo.fork_commit = next(
        branch.parent or "" for branch in player.tree.branches if branch.name == children[0]
    )
    await player.say(
        f"{len(children)} machines, each with a network, a name and keys of its own, go on where {demo.main} stood."
    )


async def watch(player: Player, children: list[str]) -> None:
    """Their output, side by side."""
    await player.say("Mark them, and watch them side by side.", "watch")
    for name in children:
        select(player, name)
        await player.act("mark")
    await player.act("watch")
    await player.say(
        f"The same tests on each patch. One of them never ends: it is stopped after {LIMIT_S} seconds."
    )
    await player.until_asked("the tests' ends", lambda: all(map(partial(has_ended, player), children)))
    await player.say("The patch 'right' passes them all.")
    await player.press("escape")
    await to_tree(player)


async def score(player: Player, children: list[str]) -> None:
    """A score each, ranked."""
    await player.say(f"A script scores each by its tests: `vertui score`, or {key_of('score')}.", "score")
    for name in children:
        await player.work(partial(give_score, player, name))
    scored = "the scores"
    await player.until(scored, lambda: all(branch.score is not None for branch in found(player, children)))
    await player.act("board")
    await player.say("The scoreboard: score, time, how it ended, what it changed. Verbs work here, too.")
    await player.press("escape")
    await to_tree(player)


async def compare(player: Player, children: list[str]) -> None:
    """All against the fork, and the best line by line."""
    await player.say("All of them compared with the commit they come from: files by branches.", "compare")
    await player.act("diff")
    await compared(player)
    await player.press("]")
    await player.until("the changes", lambda: len(comparing(player).view.change) > 0)
    await player.say("Equal numbers are the same change; below, what each did to the file.")
    await player.press("escape")
    await to_tree(player)
    await player.act("unmark", "best")
    await player.say("The best of them alone, side by side.")
    await player.act("diff")
    await compared(player)
    await player.press("]")
    await player.until("the change", lambda: not comparing(player).view.blank)
    await player.press("|", "\\")
    await player.say("Exactly the files that differ, between any two states, running ones too.")
    await player.press("\\", "|", "escape")
    await to_tree(player)


async def promote(player: Player, demo: Demo, children: list[str]) -> str:
    """The best becomes the trunk, the others go into the trash: its name."""
    best = max(found(player, children), key=lambda branch: branch.score or 0.0).name
    if PATCHES[children.index(best) % len(PATCHES)] != RIGHT:
        raise GuestFailed(f"demo: {best} won, whose patch is not right")
    select(player, best)
    await player.say(
        "Promote it. What destroys or moves much shows its plan first, and Cancel has the focus.", "promote"
    )
    await player.act("promote")
    await player.until("the plan", lambda: isinstance(player.app.screen, PlanDialog))
    first = player.app.screen
    await player.act("turn")
    await player.until(
        "its variant", lambda: isinstance(player.app.screen, PlanDialog) and player.app.screen is not first
    )
    await player.say(f"{key_of('turn')}: the losers are pruned as well, into the trash.")
    await player.press("right", "enter")
    await player.until(
        "the trunk", lambda: player.tree.trunk == best and found_names(player, children) == [best]
    )
    await player.say("The winner is the trunk, and has run on all the while.")
    return best


async def take_back(player: Player, demo: Demo, winner: str, children: list[str]) -> None:
    """Undo brings them back as they ran."""
    await player.say(f"Regrets? {key_of('undo')} says what comes back.", "undo")
    await player.act("undo")
    await player.until("what comes back", lambda: isinstance(player.app.screen, PlanDialog))
    await player.say("By name, before it is done.")
    await player.press("right", "enter")
    await player.until("the losers", lambda: all(is_running(player, name) for name in children))
    await player.say(f"All of them run again, where they stood. {key_of('redo')} does it once more.")
    await player.act("redo")
    await player.until("what is done again", lambda: isinstance(player.app.screen, PlanDialog))
    await player.press("right", "enter")
    await player.until("the winner", lambda: found_names(player, children) == [winner])
    demo.winner = winner


async def end(player: Player, demo: Demo, *, keep: bool) -> None:
    """Leave things as they were."""
    if not keep:
        await player.say("What the demo made goes into the trash. The image stays.", "end")
        await player.work(demo.clean)
    copy, keys, palette = map(key_of, ("copy", "help", "palette"))
    await player.say(
        f"Every key has a command: {copy} copies it. {keys} lists all keys, {palette} finds them by name.",
        "end",
    )


# -- what scenes look at -------------------------------------------------------------------------------------


def select(player: Player, name: str) -> None:
    """Put the cursor on a branch."""
    if (branch := player.branch(name)) is not None:
        player.app.main.tree_view.go_to_node(branch)


def is_running(player: Player, name: str) -> bool:
    """Is it shown as running?"""
    branch = player.branch(name)
    return branch is not None and branch.state is BranchState.RUNNING


def found(player: Player, names: list[str]) -> list[Branch]:
    """Those that are shown."""
    return [branch for branch in player.tree.branches if branch.name in names]


def found_names(player: Player, names: list[str]) -> list[str]:
    """The names of those that are shown."""
    return [branch.name for branch in found(player, names)]


def has_ended(player: Player, name: str) -> bool:
    """Has a child's own command? What it inherited is older."""
    command = newest(player.app.client.ps(name))
    return command is not None and command.exit_code is not None


def give_score(player: Player, name: str) -> None:
    """What its command printed last, as a score."""
    command = newest(player.app.client.ps(name))
    if command is None:
        raise GuestFailed(f"demo: {name} knows of no command")
    if command.exit_code == OUT_OF_TIME:
        player.app.client.score(name, 0.0, f"no end within {LIMIT_S} s")
        return
    printed = bytearray()

    def keep(stream: int, data: bytes) -> None:
        if stream == STDOUT:
            printed.extend(data)

    Follower(player.app.endpoint, AttachRequest(name, command.id), keep, lambda _: None).follow()
    told = numbers_of(bytes(printed), name)
    note = f"{told['passed']} of {told['total']} tests pass"
    player.app.client.score(name, round(told["passed"] / told["total"], 3), note)


def comparing(player: Player) -> ComparingScreen[Any]:
    """The comparison that is shown."""
    screen = player.app.screen
    if not isinstance(screen, ComparingScreen):
        raise GuestFailed("demo: the comparison was left")
    return screen


async def compared(player: Player) -> None:
    """Wait for a comparison's files."""
    await player.until("a comparison", lambda: isinstance(player.app.screen, ComparingScreen))
    await player.until("its files", lambda: bool(comparing(player).files.items))


async def to_tree(player: Player) -> None:
    """Wait for the main screen."""
    await player.until("the tree", lambda: player.app.screen is player.app.main)


def key_of(action: str) -> str:
    """The key of an action as it is printed."""
    return BY_ID[action].key_label
