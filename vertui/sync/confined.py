"""`confined DIRECTORY COMMAND…`: the command, in a directory that is all it can write to.

rsync looks at the names that it is sent, but it has been outwitted, by links through links: what it cannot write it
will not.
"""

import os
import sys
from pathlib import Path

from core.linux import write_only_below

REFUSED = 126  # a shell's exit status for what cannot be run


def main() -> int:
    """The exit status, if the command cannot be run."""
    directory, *command = sys.argv[1:]
    try:
        write_only_below(Path(directory))
        os.execv(command[0], command)
    except OSError as error:
        print(f"cannot be confined to {directory}: {error.strerror}", file=sys.stderr)
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
