"""What a guest says it has mounted, and which mount point a path lies under."""

import pytest

from core.engine.mounts import OF_EVERY_IMAGE, over, parse_mounts

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
