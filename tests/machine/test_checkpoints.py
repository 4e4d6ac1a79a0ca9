"""A real guest that was worked in, and then is left alone, is committed by itself once."""

import time

import pytest

from core.checkpoints import Trigger
from core.engine.stirring import SETTLED_S
from core.model import Commit
from tests.conftest import full
from tests.guests import Guest, eventually

EVERY_S = 3.0


@pytest.mark.skipif(not full(), reason="a guest is left alone until it has settled, and for some looks more")
@pytest.mark.usefixtures("nothing_waits")
def test_what_is_left_alone_is_committed_once(main: Guest) -> None:
    def made() -> list[Commit]:
        return [commit for commit in main.client.tree().commits if commit.checkpoint is not Trigger.NONE]

    main.client.policy(main.name, every=EVERY_S)
    time.sleep(3 * EVERY_S)
    assert not made(), "nobody has done anything"
    main.text("i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done; date > /root/date")
    assert eventually(lambda: len(made()) == 1)
    time.sleep(SETTLED_S + 10 * EVERY_S)
    assert len(made()) == 1, "it was idle"
    main.start("while true; do date; done > /root/dates")
    assert eventually(lambda: len(made()) == 2)
    settled = len(made())
    assert eventually(lambda: len(made()) > settled, SETTLED_S + 10 * EVERY_S), "it works by itself"
