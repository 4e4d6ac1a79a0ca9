"""Real machines that die: what their guests had synced is got back, whatever died with them."""

import os
import signal
import time

from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.home import Home
from core.model import BranchState
from tests.guests import Guest, eventually


def lost(client: Client) -> bool:
    [main] = client.tree().branches
    return main.state is BranchState.LOST and main.crash is not None


def test_what_was_synced_a_second_before_is_got_back(main: Guest, client: Client, home: Home) -> None:
    """With the machine alone, and with the holder and all that it started, as when a host starts anew; then booted."""
    main.text("echo early > /root/early; mkdir /root/there; sync")
    client.commit("main", "early")
    main.text("echo late > /root/there/late; sync; echo never > /root/there/never")
    [branch] = client.tree().branches
    os.kill(branch.pid or 0, signal.SIGKILL)
    assert eventually(lambda: lost(client))
    assert "/root/there/late" in {entry.path for entry in client.diff("main", "main@crash").entries}
    client.resume("main")
    assert not main.text("ls /root/there")
    client.apply("main@crash", "main", ("/root/there",))
    assert main.text("cat /root/there/late") == "late"
    main.text("dd if=/dev/urandom of=/root/bulk bs=1M count=4 2>&-; echo later > /root/there/later; sync")
    digest = main.text("sha256sum < /root/bulk; rm -rf /usr/share/doc")  # the latter is not synced
    time.sleep(1.0)
    [branch], status = client.tree().branches, client.status()
    for pid in (branch.pid or 0, status.pid, status.holder_pid):
        os.kill(pid, signal.SIGKILL)
    ensure_daemon(home)
    assert lost(client)
    began = time.time()
    client.cold_boot("main")
    assert (
        main.text("cat /root/there/late /root/there/later; sha256sum < /root/bulk")
        == f"late\nlater\n{digest}"
    )
    checked = main.text("date -d \"$(dumpe2fs -h /dev/vda 2>&- | sed -n 's/^Last checked: *//p')\" +%s")
    assert int(checked) >= began - 5, "its e2fsck looked at it"
