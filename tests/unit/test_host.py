"""What a host forbids is named, with a line that allows it; what it allows is not complained of."""

import grp
import os
import stat
from pathlib import Path

import pytest

from core import host
from core.engine import doctor
from core.host import User

ROOT, ORDINARY = User(0, "root"), User(4711, "ordinary")
ENOUGH = "ordinary:100000:65536\n"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text(f"somebody:1:2\nodd line\n{ENOUGH}")
    return tmp_path


def sysctls(tmp_path: Path, **values: int) -> Path:
    for name, value in values.items():
        path = tmp_path / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("values", "fix"),
    [
        ({}, ""),
        ({"kernel__unprivileged_userns_clone": 1, "user__max_user_namespaces": 9}, ""),
        ({"kernel__unprivileged_userns_clone": 0}, "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            {"kernel__apparmor_restrict_unprivileged_userns": 1},
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            {"kernel__unprivileged_userns_clone": 0, "user__max_user_namespaces": 0},
            "sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000",
        ),
    ],
)
def test_a_sysctl_that_forbids_is_named_with_the_line_that_allows(
    tmp_path: Path, etc: Path, values: dict[str, int], fix: str
) -> None:
    found, ids = host.findings(
        ORDINARY, etc, sysctls(tmp_path / "sys", **values) if values else tmp_path / "none"
    )
    assert (found.name, found.ok, found.fix) == ("user namespaces", not fix, fix)
    assert ids.ok and not ids.fix
    assert all(name.partition("=")[0] in found.detail for name in fix.split()[2:])


@pytest.mark.parametrize("lines", ["", "ordinary:100000:1000\n", "other:100000:65536\n", "ordinary:1\n"])
def test_too_few_subordinate_ids_are_told_with_the_line_that_gives_them(etc: Path, lines: str) -> None:
    (etc / "subgid").write_text(lines)
    _, found = host.findings(ORDINARY, etc, etc)
    assert not found.ok and "/etc/subgid:" in found.detail and "subuid" not in found.detail
    assert found.fix.startswith("usermod --add-subuids ") and found.fix.endswith(" ordinary")
    (etc / "subgid").write_text("4711:100000:65536\n")
    assert host.findings(ORDINARY, etc, etc)[1].ok


def test_root_needs_none_of_it(tmp_path: Path) -> None:
    assert host.findings(ROOT, tmp_path, sysctls(tmp_path, kernel__unprivileged_userns_clone=0)) == []


def test_who_we_are_outside_of_namespaces() -> None:
    assert host.user().uid == os.getuid()


def test_a_device_that_opens_needs_nothing_and_one_that_is_not_there_its_module(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    assert host.device_fix(tmp_path / "there", "fuse") == ""
    assert host.device_fix(tmp_path / "fuse", "fuse") == "modprobe fuse"


@pytest.mark.skipif(os.getuid() != 0, reason="takes a device from an ordinary user, which root can")
@pytest.mark.parametrize(("mode", "fix"), [(0o660, "usermod -aG {} ordinary, "), (0o600, "chmod 0666 ")])
def test_a_closed_device_is_opened_by_its_group_or_for_all(tmp_path: Path, mode: int, fix: str) -> None:
    device, group = tmp_path / "fuse", grp.getgrgid(5)
    os.mknod(device, stat.S_IFCHR | mode, os.makedev(1, 3))
    os.chown(device, 0, group.gr_gid)
    device.chmod(mode)
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.setgroups([])
        os.setgid(4711)
        os.setuid(4711)
        os.write(writing, host.device_fix(device, "fuse", ORDINARY).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as said:
        assert said.read().startswith(fix.format(group.gr_name))


def test_doctor_tells_how_machines_are_confined() -> None:
    found = doctor.confinement(None)
    assert found.ok and found.detail == "whole" and not found.fix
    lacking = doctor.confinement("the kernel has no Landlock: another kernel")
    assert (lacking.ok, lacking.detail, lacking.fix) == (
        False,
        "the kernel has no Landlock",
        "another kernel",
    )
