"""What a guest says it has mounted, and which mount point a path lies under."""

from typing import cast
from unittest.mock import Mock

import pytest

from core.engine import guests
from core.engine.live import Live
from core.engine.mounts import OF_EVERY_IMAGE, over, parse_mounts, unseen
from core.engine.points import State
from core.errors import GuestFailed

TOLD = rb"""22 1 254:0 / / rw,noatime - ext4 /dev/vda rw
27 22 0:23 / /tmp rw,nosuid shared:1 - tmpfs tmpfs rw
30 22 0:22 /vertui/identity/hostname /etc/hostname rw - tmpfs tmpfs rw
40 22 0:40 / /srv/with\040blank\134 rw - overlay o rw
nonsense
""" + "41 22 0:41 / /srv/odd\x0cname\u2028 rw - tmpfs t rw\n".encode()


def test_mountinfo_is_read_line_by_line() -> None:
    assert parse_mounts(TOLD) == {
        b"/tmp": "tmpfs",
        b"/etc/hostname": "tmpfs",
        rb"/srv/with blank\ ".strip(): "overlay",
        "/srv/odd\x0cname\u2028".encode(): "tmpfs",
    }


@pytest.mark.parametrize(
    ("path", "point"),
    [
        (b"/tmp", b"/tmp"),
        (b"/tmp/a", b"/tmp"),
        (b"/tmpfile", None),
        (b"/", None),
        (b"/etc/hostname", b"/etc/hostname"),
        (b"/etc", None),
    ],
)
def test_the_nearest_point_above(path: bytes, point: bytes | None) -> None:
    assert over(parse_mounts(TOLD), path) == point
    assert over(OF_EVERY_IMAGE, b"/dev/shm/x") == b"/dev"


async def test_a_guest_that_does_not_say_what_it_holds_in_memory_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside busy machines `find` takes longer than a diff waits: nothing said would be taken for the same."""

    async def told(live: object, *_: object) -> bytes:
        if live == "slow":
            raise GuestFailed("sh did not end in the guest")
        return b"/tmp 1\n"

    monkeypatch.setattr(guests, "output_of", told)
    fast, slow = (State(f"b-{live}", "", Mock(), Mock(), cast(Live, live)) for live in ("fast", "slow"))
    assert await unseen(fast, fast, 0.0) == []
    assert await unseen(fast, slow, 0.0) == [
        "not on the disks, and not looked at: what b-slow holds in memory, as in /tmp (sh did not end in the guest)"
    ]
