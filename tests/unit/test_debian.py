"""The packages that are needed are one list, for the set-up, for doctor, and for the errors that name one."""

import re
import subprocess
from pathlib import Path

from core import debian
from core.image import tools

ROOT = Path(__file__).parents[2]


def test_what_is_missing_is_named_once_with_the_line_that_installs_it() -> None:
    missing = {"setpriv", "unshare", "mke2fs"}
    found = debian.finding(lambda program: None if program in missing else program)
    assert not found.ok and found.detail.startswith("missing: ")
    assert {"e2fsprogs", "util-linux"} <= set(found.detail.split()[1:])
    assert found.detail.count("util-linux") == 1
    assert found.fix == f"apt-get install {found.detail.removeprefix('missing: ')}"


def test_here_nothing_is_missing() -> None:
    assert debian.finding().ok, debian.finding()


def test_the_builds_own_errors_name_the_same_packages() -> None:
    assert tools.PACKAGES.items() <= debian.shown_by().items()


def test_the_setup_installs_what_doctor_names() -> None:
    reading = re.search(r"< <\((sed .*core/debian\.txt)\)", (ROOT / "scripts" / "setup").read_text())
    assert reading
    listed = subprocess.run(reading[1], shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(debian.shown_by().values()) <= set(listed.stdout.split())
