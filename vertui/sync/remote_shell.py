"""What rsync takes for its remote shell: it hands its standard streams, and the command that it is to run, to whoever
started rsync.

`remote_shell.py DESCRIPTOR HOST COMMAND…`: the descriptor is a socket. One byte that comes back is the command's exit
status.
"""

import array
import os
import sys
from _socket import (  # the module on top of this one takes as long again to import
    SCM_RIGHTS,
    SOL_SOCKET,
    socket,
)

LOST = 255


def main() -> int:
    """Until the command has ended, or whoever runs it."""
    line = socket(fileno=int(sys.argv[1]))
    streams = array.array("i", (0, 1))
    line.sendmsg([os.fsencode("\0".join(sys.argv[3:]))], [(SOL_SOCKET, SCM_RIGHTS, streams)])
    for stream in streams:
        os.close(stream)
    status = line.recv(1)
    return status[0] if status else LOST


if __name__ == "__main__":
    sys.exit(main())
