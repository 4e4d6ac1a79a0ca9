"""A swarm's winner made the trunk, unless that would leave behind what the trunk did since the swarm began."""

from collections.abc import Callable

from msgspec.structs import replace

from core.errors import Conflict, NotFound
from core.model import Branch, Plan, Tree
from core.startable import nearest_asked
from core.verbs.promote import Promote
from vertui.swarm.beginning import SwarmOrigin
from vertui.swarm.results import SwarmOutcome
from vertui.swarm.steps import Swarm
from vertui.text import counted, short

Agree = Callable[[Plan], None]
"""Shows a plan, and raises what keeps it from being carried out."""


def promote(swarm: Swarm, outcome: SwarmOutcome, agree: Agree) -> SwarmOutcome:
    """Promote the winner, once `agree` has been shown the plan. Conflict when it is stale: the trunk is another one, or
    has done something since.
    """
    if not outcome.winner:
        raise Conflict(f"nothing of {swarm.name} can be promoted: {outcome.why}")
    tree = swarm.tree()
    if tree.trunk != outcome.winner:
        if why := stale(swarm, tree):
            raise Conflict(
                f"{outcome.winner} won and is stale: {why}; nothing was promoted."
                f" `vertui promote {outcome.winner}` says what it lacks, and asks"
            )
        plan = swarm.hands.plan(Promote(outcome.winner))
        agree(plan)
        swarm.hands.execute(plan, swarm.record.key(f"promote {plan.id}"))
    return replace(outcome, promoted=True)


def stale(swarm: Swarm, tree: Tree) -> str:
    """What became of the trunk since the swarm began; nothing when it is as it was."""
    began = swarm.record.answer("origin", SwarmOrigin)
    if began is None or not began.trunk:
        return ""
    trunk = next((branch for branch in tree.branches if branch.trunk), None)
    if trunk is None or trunk.id != began.trunk:
        return f"the trunk is {tree.trunk or 'none'} now, and was another branch when the swarm began"
    if nearest_asked(trunk.head, tree.commits, began.head) != began.head:
        return f"{trunk.name} has commits since {short(began.head)}, on which the swarm began"
    return _changed(swarm, began, trunk) if began.is_trunk else ""


def _changed(swarm: Swarm, began: SwarmOrigin, trunk: Branch) -> str:
    changed = swarm.hands.changed(began.head, trunk.name)
    if changed is None:
        raise NotFound(f"what {trunk.name} did since the swarm began cannot be told: nothing was promoted")
    return (
        f"{trunk.name} changed {counted(changed.paths, 'file')} since the swarm began"
        if changed.paths
        else ""
    )
