"""`vertui`, or `python -m vertui`: the command line."""

import signal
import sys


def main() -> int:
    """Run this process's command line; its exit status.

    An interrupt ends the process without a word, as it would end any other, until there is somebody to tell of it.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from vertui.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
