"""Started by the guest's init: `python3 -S -E -B /usr/lib/vertui/agent`."""

import importlib
import os
import sys
from pathlib import Path

# Python put this directory itself at the head of the path; the package is found from its parent.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
package = Path(__file__).resolve().parent.name


def main() -> None:
    """Serve the port until the machine ends."""
    port = importlib.import_module(f"{package}.port")
    server = importlib.import_module(f"{package}.server")
    cgroup = importlib.import_module(f"{package}.cgroup")
    fd = os.open(port.find_port(), os.O_RDWR)
    work = Path("/sys/fs/cgroup/work")
    work.mkdir(exist_ok=True)
    agent = server.Server(fd, cgroup.WorkGroup(str(work)))
    agent.listen_for_ssh()
    agent.run()


main()
