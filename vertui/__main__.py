"""`vertui`, or `python -m vertui`: the command line."""

# `signal` itself imports enum first, for as long as all that is guarded against here.
import _signal  # type: ignore[import-not-found]
import sys


def main() -> int:
    """Run this process's command line; its exit status.

    An interrupt ends the process without a word, as it would end any other, until there is somebody to tell of it.
    """
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from vertui.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
