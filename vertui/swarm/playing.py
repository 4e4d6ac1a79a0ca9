"""A swarm from its record to its outcome, whoever plays it and however often."""

from core.errors import Conflict
from vertui.swarm.drivers import Driver, play_driver
from vertui.swarm.hands import Hands
from vertui.swarm.record import SwarmRecord
from vertui.swarm.results import SwarmOutcome
from vertui.swarm.rounds import Rounds
from vertui.swarm.steps import Swarm, SwarmTeller
from vertui.swarm.winning import Agree, promote
from vertui.swarm.work import Called, CallWork, CommandWork


def play(
    record: SwarmRecord,
    hands: Hands,
    teller: SwarmTeller,
    *,
    drive: Driver | None = None,
    call: Called | None = None,
) -> SwarmOutcome:
    """Go on from where it is, to its end. One that has ended is not played again. Conflict when its tries are calls of
    a function that is not given.
    """
    if record.ended is not None:
        return record.ended.outcome
    swarm = Swarm(record, hands, teller)
    if not record.steps:
        hands.check_secrets(record.spec.given_secrets.values())
    outcome = play_driver(swarm, drive) if drive or record.spec.driver else _rounds(swarm, call).play()
    record.end(outcome)
    return outcome


def _rounds(swarm: Swarm, call: Called | None) -> Rounds:
    called = swarm.record.spec.called
    if not called:
        return Rounds(swarm, CommandWork(swarm))
    if call is None:
        raise Conflict(
            f"the tries of {swarm.name} are calls of {called}: the program that has it goes on with it"
        )
    return Rounds(swarm, CallWork(swarm, call))


def finish(
    record: SwarmRecord, hands: Hands, teller: SwarmTeller, agree: Agree, *, rebase: bool = False
) -> SwarmOutcome | None:
    """Promote the winner of a swarm that has ended, if that is asked for and not done; None where it is not. With
    `rebase` it is asked for, also if the winner is stale.
    """
    asked = record.spec.promote or rebase
    if record.ended is None or not asked or record.ended.outcome.promoted:
        return None
    swarm = Swarm(record, hands, teller)
    outcome = promote(swarm, record.ended.outcome, agree, rebase=record.spec.rebase or rebase)
    record.end(outcome)
    return outcome
