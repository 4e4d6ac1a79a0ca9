"""Every test here leaves the host's network as it was."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def _host() -> tuple[object, ...]:
    rules = b""
    if os.geteuid() == 0 and shutil.which("nft"):
        rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True).stdout
    return sorted(socket.if_nameindex()), Path("/proc/net/route").read_text(), rules


@pytest.fixture(autouse=True)
def host_unchanged() -> Iterator[None]:
    before = _host()
    yield
    assert _host() == before
