"""A key of the home, in a file for this user alone: made when it is first needed, and kept."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from core.errors import Damaged
from core.files import disk_error, write_atomic
from core.sockets import make_private

T = TypeVar("T")
_one_at_a_time = threading.Lock()  # of the threads that find none


def own_key(path: Path, make: Callable[[], bytes], read: Callable[[bytes], T], damaged: str) -> T:
    """What `read` makes of the file, which `make` gives its bytes when there is none. Damaged, for this reason, when
    `read` raises ValueError; NoRoom, VertuiError.
    """
    try:
        with _one_at_a_time:
            make_private(path.parent)
            if not path.exists():
                write_atomic(path, make())
        return read(path.read_bytes())
    except OSError as error:
        raise disk_error(error, path) from error
    except ValueError as error:
        raise Damaged(f"{path} is {damaged}") from error
