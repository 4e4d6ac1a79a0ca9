"""Identities are set anew from whatever the guest made of the last one, and the guest may make of it what it likes."""

import re

import pytest

from core.daemon.client import Client
from tests.conftest import full
from tests.guests import Guest

HOSTNAME, MACHINE_ID, BOOT_ID = "/etc/hostname", "/etc/machine-id", "/proc/sys/kernel/random/boot_id"
KEY = "/etc/ssh/ssh_host_ed25519_key"
NAMES = (HOSTNAME, MACHINE_ID, BOOT_ID, KEY, f"{KEY}.pub")
BIND = "cp /etc/$name /mnt; mount --bind /mnt/$name /etc/$name"

STATES = {
    "edited": (
        f"sed -i s/a/b/ {HOSTNAME}; cp {MACHINE_ID} /m; mv /m {MACHINE_ID};"
        " rm /etc/ssh/ssh_host_*; ssh-keygen -A"
    ),
    "removed": f"rm -f {HOSTNAME} {MACHINE_ID} /etc/ssh/ssh_host_*",
    "written": f"echo own > {HOSTNAME}; : > {MACHINE_ID}; cat {KEY}.pub > {KEY}",
    "copied": f"mkdir -p /var/lib/dbus; cat {MACHINE_ID} > /var/lib/dbus/machine-id",
    "other kinds": f"rm {HOSTNAME} {MACHINE_ID}; mkfifo {HOSTNAME}; ln -s /dev/zero {MACHINE_ID}",
    "directories": f"rm {HOSTNAME}; mkdir {HOSTNAME}; rm -r /etc/ssh",
    "boot id unmounted": f"umount {BOOT_ID}",
    "boot id bound": f"echo own > /dev/shm/own; mount --bind /dev/shm/own {BOOT_ID}",
    "names bound": f"for name in hostname machine-id; do {BIND}; done",
    "run emptied": "rm -rf /run/*",
    "run unmounted": "umount -l /run",
    "run remounted": "mount -t tmpfs tmpfs /run",
    "run full": "head -c 1G /dev/zero > /run/fill; rm -r /run/vertui",
    "run read-only": "mount -o remount,ro /run",
    "run of other kinds": "rm -r /run/vertui; echo own > /run/vertui",
    "disk read-only": (
        f"cp {MACHINE_ID} /m; mv /m {MACHINE_ID}; cp {HOSTNAME} /h; mv /h {HOSTNAME}; sync;"
        " echo u > /proc/sysrq-trigger; timeout 9 sh -c \"until grep -q ' / ext4 ro' /proc/mounts; do sleep 0.1; done\""
    ),
    "no random": "rm /dev/random /dev/urandom",
}
SAMPLE = ("edited", "boot id unmounted", "run full", "disk read-only")


def shown(guest: Guest) -> dict[str, str]:
    """What the guest shows of who it is; a name that leads to no file is left out."""
    line = "; ".join(f"test -f {name} && echo {name} $(tr -d '\\0' < {name} | base64 -w0)" for name in NAMES)
    return dict(found.split(" ", 1) for found in guest.run(line).text.splitlines() if " " in found)


def check_distinct(parent: Guest, child: Guest) -> None:
    """None of what the child shows is what the parent shows, and its two halves of a key belong together."""
    before, after = shown(parent), shown(child)
    assert child.text("cat /proc/sys/kernel/hostname") == child.name
    assert {name for name in after if after[name] == before.get(name)} == set()
    assert child.text(f"test ! -f {HOSTNAME} || cat {HOSTNAME}") in ("", child.name)
    if KEY in after:
        own = child.text(f"ssh-keygen -y -f {KEY}").split()[:2]
        assert own == child.text(f"cat {KEY}.pub").split()[:2]


@pytest.mark.parametrize("state", STATES if full() else SAMPLE)
def test_a_child_is_distinct_whatever_its_parent_did(main: Guest, client: Client, state: str) -> None:
    """Also a grandchild, and the branch itself once it is taken back to such a commit."""
    main.run(STATES[state])
    [child] = client.fork("main", 1, "first1").children
    assert child.ok, child.reason
    check_distinct(main, main.other(child.name))
    if full():
        [grandchild] = client.fork(child.name, 1, "second1").children
        assert grandchild.ok, grandchild.reason
        check_distinct(main.other(child.name), main.other(grandchild.name))
        before = shown(main)
        client.restore("main", client.commit("main").commit.id)
        assert {name for name, text in shown(main).items() if text == before.get(name)} <= {HOSTNAME}


def test_the_names_are_files_like_any(main: Guest, client: Client) -> None:
    """What Debian's tools and people do with them works, in a child as well, and only that shows in a diff."""
    client.fork("main", 1)
    child = main.other("b1")
    for guest in (main, child):
        guest.text(f"sed -i 's/$/-own/' {HOSTNAME}")
        assert guest.text(f"cat {HOSTNAME}") == f"{guest.name}-own"
        assert re.fullmatch("[0-9a-f]{32}", guest.text(f"cat {MACHINE_ID}"))
        guest.text(f"echo {'0' * 32} > /new; mv /new {MACHINE_ID}; truncate -s 5 {MACHINE_ID}")
        assert guest.text(f"cat {MACHINE_ID}") == "00000"
        before = guest.text(f"cat {KEY}.pub")
        guest.text("rm /etc/ssh/ssh_host_*; ssh-keygen -A; sshd -t")
        assert guest.text(f"cat {KEY}.pub") != before
        guest.text(f"rm {HOSTNAME}; mkdir {HOSTNAME}; rmdir {HOSTNAME}")
    [untouched] = client.fork(client.tree().images[0].golden, 1, "plain").children
    assert untouched.ok, untouched.reason
