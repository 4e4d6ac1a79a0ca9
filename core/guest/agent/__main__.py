"""Started by the keeper: `vertui-agent -S -E -B /usr/lib/vertui/agent`, that being another name of python3."""

import gc
import importlib
import os
import sys

# Python put this directory itself at the head of the path; the package is found from its parent. Without pathlib: what
# the agent imports lies in the memory of every golden commit, and that would be 700 KB.
sys.path[0], _, package = sys.path[0].rpartition("/")


def main() -> None:
    """Serve the port until the machine ends."""
    port, server, cgroup, kernel, clock = (
        importlib.import_module(f"{package}.{name}")
        for name in ("port", "server", "cgroup", "kernel", "clock")
    )
    keeper = os.getppid()
    kernel.end_with_parent()
    work = cgroup.WorkGroup(kernel.open_filesystem("cgroup2"), keeper)
    agent = server.Server(port.open_port(), work, clock.Clock())
    agent.listen_for_ssh()
    agent.listen_for_notes()
    gc.freeze()  # what is there stays: to look at it again and again would change the pages it lies on in every fork
    agent.run()


main()
