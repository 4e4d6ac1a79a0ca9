"""Where a command line begins and every error ends.

`vertui ls` and `vertui tree` are asked by prompts and scripts all the time and need no parser: they answer in half
the time without one. All else goes to the group of verbs in `vertui.commands`.
"""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from core.errors import NoRoom, UsageError, VertuiError
from core.patience import check_slow
from vertui import standard
from vertui.output import warn
from vertui.text import printable

BROKEN_PIPE, BUG = 141, 70
COMPLETE = "--complete"  # what a shell's script says before it hands over SHELL and LINE
QUICK = (["ls"], ["ls", "--json"], ["tree"], ["tree", "--json"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, the process's own without one; the exit status. Every error ends here, as one line."""
    if argv is None:
        standard.prepare()
    try:
        return _status(list(sys.argv[1:] if argv is None else argv))
    finally:
        standard.finish()


def _status(argv: list[str]) -> int:
    try:
        with standard.interruptible():
            check_slow()
            status = _invoke(argv)
            sys.stdout.flush()
            return status
    except VertuiError as error:
        warn(str(error))
        return error.exit_status
    except KeyboardInterrupt as stopped:
        return _stopped(stopped)
    except BrokenPipeError:
        return BROKEN_PIPE
    except MemoryError:
        warn("there is not enough memory for this command: raise `ulimit -v`, or free some")
        return NoRoom.exit_status
    except OSError as error:
        where = f"{printable(os.fsdecode(error.filename))}: " if error.filename else ""
        warn(f"{where}{error.strerror or error}")
        return VertuiError.exit_status
    except UnicodeEncodeError as error:  # of something typed: standard.prepare sees to what is printed
        where = str(error.object)[max(0, error.start - 20) : error.end + 20]
        warn(f"'{printable(where)}' is not text in UTF-8")
        return UsageError.exit_status
    except Exception as error:
        interrupt = stopped_by(error)
        return _bug(error) if interrupt is None else _stopped(interrupt)


def stopped_by(error: BaseException) -> KeyboardInterrupt | None:
    """The interrupt behind an error: one that comes while a class is made is a RuntimeError before Python 3.12."""
    return error.__cause__ if isinstance(error.__cause__, KeyboardInterrupt) else None


def _stopped(stopped: KeyboardInterrupt) -> int:
    with suppress(OSError, VertuiError):
        print(file=sys.stderr)  # what follows ^C starts a line of its own
    for note in getattr(stopped, "__notes__", ()):
        warn(note)
    return 128 + getattr(stopped, "number", signal.SIGINT)


def _invoke(argv: list[str]) -> int:
    if argv in QUICK:
        from vertui.listing import LISTINGS

        LISTINGS[argv[0]]("--json" in argv)
        return 0
    if argv[:1] == [COMPLETE]:
        from vertui.commands.completion import answer

        answer(*argv[1:3])
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
