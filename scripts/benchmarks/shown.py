"""The UI as `driven` starts it: `shown.py DESCRIPTOR HOME`, or `shown.py DESCRIPTOR --flood LINES` for branches that
print so many lines as fast as anybody takes them. It writes to the descriptor when its modules are imported, by the
clock and by its processor time, in nanoseconds.
"""

import os
import sys
import time

from vertui import app, standard

app.prepare()

from core.home import Home, find_home  # noqa: E402
from vertui.ui import VertuiApp  # noqa: E402


def main() -> int:
    """The UI's exit status."""
    descriptor, what, *more = sys.argv[1:]
    standard.prepare()
    ui = _flooded(int(more[0])) if what == "--flood" else VertuiApp(find_home(what))
    os.write(int(descriptor), b"%d %d" % (time.perf_counter_ns(), time.process_time_ns()))
    os.close(int(descriptor))
    return ui.live()


def _flooded(lines: int) -> VertuiApp:
    from pathlib import Path

    from tests.ui.floods import NINE, Flood

    return VertuiApp(Home(Path("/nowhere"), Path("/nowhere")), lambda: Flood(NINE, lines))


if __name__ == "__main__":
    sys.exit(main())
