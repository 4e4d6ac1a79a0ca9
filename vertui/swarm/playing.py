"""A swarm from its record to its outcome, whoever plays it and however often."""

from vertui.swarm.drivers import Driver, play_driver
from vertui.swarm.hands import Hands
from vertui.swarm.record import SwarmRecord
from vertui.swarm.results import SwarmOutcome
from vertui.swarm.rounds import Rounds
from vertui.swarm.steps import Swarm, SwarmTeller
from vertui.swarm.winning import Agree, promote


def play(record: SwarmRecord, hands: Hands, teller: SwarmTeller, drive: Driver | None = None) -> SwarmOutcome:
    """Go on from where it is, to its end. One that has ended is not played again."""
    if record.ended is not None:
        return record.ended.outcome
    swarm = Swarm(record, hands, teller)
    outcome = play_driver(swarm, drive) if drive or record.spec.driver else Rounds(swarm).play()
    record.end(outcome)
    return outcome


def finish(record: SwarmRecord, hands: Hands, teller: SwarmTeller, agree: Agree) -> SwarmOutcome | None:
    """Promote the winner of a swarm that has ended, if that is asked for and not done; None where it is not."""
    if record.ended is None or not record.spec.promote or record.ended.outcome.promoted:
        return None
    outcome = promote(Swarm(record, hands, teller), record.ended.outcome, agree)
    record.end(outcome)
    return outcome
