"""What each child of a fork is given: what it may reach, ports, a command that is ended in time; on twins."""

import asyncio
from typing import Any

import pytest

from core.engine.groups import USUAL
from core.errors import VertuiError
from core.model import BranchState
from core.ports import place
from core.reach import in_words
from tests.twins.engine import Twins, twin_engine


def reach(twins: Twins, name: str) -> str:
    """What a branch's network lets out; it is what its row says."""
    row = twins.engine.branch(name)
    assert twins.engine.machines.live[row.id].network.reach == row.egress
    return in_words(row.egress)


async def given(twins: Twins) -> None:
    await twins.do("egress", "main", "open")
    await twins.do("publish", "main", ("3000",))
    forked = await twins.do("fork", "main", 2, egress=("@pip", "a.org:80"), publish=("3000", "53/udp"))
    assert reach(twins, "b1") == reach(twins, "b2") == f"allow {' '.join(USUAL['@pip'])} a.org:80"
    assert [sorted(port.guest_port for port in child.ports) for child in forked.children] == [[53, 3000]] * 2
    assert len({(place(port), port.protocol) for child in forked.children for port in child.ports}) == 4
    one = (await twins.do("fork", "main", 1, "one", egress=("off",), publish=("8080:80",))).children[0]
    assert reach(twins, "one") == "off" and "127.0.0.1:8080" in map(place, one.ports)
    await twins.do("fork", "main~0", 1, "same")
    assert reach(twins, "same") == "open"


async def refused(twins: Twins) -> None:
    await twins.do("publish", "main", ("8080:80",))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"n": 2, "publish": ("9000:80",)}, "port 9000 of the host leads to one child alone: give 80"),
        ({"publish": ("8080:81",)}, "leads to main already"),
        ({"publish": ("80", "80")}, "named twice"),
        ({"publish": ("x",)}, "is no port"),
        ({"egress": ("allow",)}, "allow whom"),
        ({"egress": ("open", "a.org")}, "is for `allow`"),
        ({"egress": ("@x",)}, "is no destination"),
        ({"timeout_s": 5.0}, "a time limit is for a command"),
        ({"score": "printed"}, "a score rule is for a command"),
    ]
    for fields, error in cases:
        with pytest.raises(VertuiError, match=error):
            await twins.do("fork", "main", **fields)
    assert [row.name for row in twins.engine.catalog.branches()] == ["main"]


async def whose_command_cannot_start(twins: Twins) -> None:
    """A twin's guest has no programs."""
    [child] = (await twins.do("fork", "main", 1, command="make", timeout_s=2.0, score="printed")).children
    row = twins.engine.branch(child.name)
    assert not child.ok and "no programs" in child.reason and row.state is BranchState.FAILED
    assert row.scoring is None and row.id not in twins.engine.machines.live
    await twins.engine.machines.reaping.done()
    assert (
        len(twins.engine.machines.live)
        == 1
        == len([one for one in twins.held.holdings().children if "machine:" in one])
    )


@pytest.mark.parametrize("body", [given, refused, whose_command_cannot_start], ids=lambda body: body.__name__)
def test_terms(body: Any) -> None:
    async def run(twins: Twins) -> None:
        twins.begin()
        try:
            await twins.do("up")
            await body(twins)
        finally:
            await twins.close()

    with twin_engine() as twins:
        asyncio.run(run(twins))
