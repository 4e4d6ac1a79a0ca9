"""Where a command line begins and every error ends.

`vertui ls` and `vertui tree` are asked by prompts and scripts all the time and need no parser: they answer in half
the time without one. All else goes to the group of verbs in `vertui.commands`.
"""

import os
import sys
import traceback
from collections.abc import Sequence

from core.errors import VertuiError
from core.patience import check_slow
from vertui.output import warn

INTERRUPTED, BROKEN_PIPE, BUG = 130, 141, 70
QUICK = (["ls"], ["ls", "--json"], ["tree"], ["tree", "--json"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit status. Every error ends here, as one line on standard error."""
    try:
        check_slow()
        status = _invoke(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except VertuiError as error:
        warn(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        print(file=sys.stderr)  # what follows ^C starts a line of its own
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the last flush complains
        return BROKEN_PIPE
    except Exception as error:
        return _bug(error)


def _invoke(argv: list[str]) -> int:
    if argv in QUICK and "_VERTUI_COMPLETE" not in os.environ:
        from vertui.listing import LISTINGS

        LISTINGS[argv[0]]("--json" in argv)
        return 0
    from vertui.commands.group import invoke

    return invoke(argv)


def _bug(error: Exception) -> int:
    if os.environ.get("VERTUI_DEBUG") == "1":
        traceback.print_exc()
    else:
        detail = " ".join(str(error).split())[:200]
        warn(
            f"a bug: {type(error).__name__}: {detail} (VERTUI_DEBUG=1 shows where, `vertui doctor` what is amiss)"
        )
    return BUG
