"""Who may come in by the daemon's port, and who is in.

The file has a digest of each token, and no token: whoever reads it can let nobody in.
"""

import hmac
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from core.engine.kept_file import KeptFile
from core.errors import VertuiError
from core.tokens import LONGEST, digest

logger = logging.getLogger(__name__)
HangUp = Callable[[], object]


class KeptToken(Struct, frozen=True):
    """What is known of a token: its SHA-256 as hex digits, and when it was made."""

    sha256: str
    created: float


class Admission:
    """The tokens there are, and the connections that came in by each. Lives on the daemon's event loop."""

    def __init__(self, path: Path) -> None:
        self.tokens = KeptFile(path, KeptToken, "remove it, and make new tokens")
        self.listening = ""  # the URL of the port by which others come, while there is one
        self._inside: dict[object, tuple[str, HangUp]] = {}

    def bearer(self, token: str) -> str | None:
        """The name of a token; None when there is no such one. Each is compared whole: the time tells nothing."""
        given, found = digest(token[:LONGEST]).encode(), None
        for name, kept in self._known().items():
            if hmac.compare_digest(given, kept.sha256.encode()):
                found = name
        return found

    @contextmanager
    def inside(self, name: str, hang_up: HangUp) -> Iterator[None]:
        """Somebody is in by that token; `hang_up` is called when it is revoked meanwhile."""
        visit = object()
        self._inside[visit] = name, hang_up
        try:
            yield
        finally:
            del self._inside[visit]

    def connections(self) -> Counter[str]:
        """How many are in, by the names of their tokens."""
        return Counter(name for name, _ in self._inside.values())

    def turn_out(self, name: str | None = None) -> None:
        """Hang up on whoever is in by a token, or by any."""
        for token, hang_up in list(self._inside.values()):
            if name in (None, token):
                hang_up()

    def _known(self) -> dict[str, KeptToken]:
        try:
            return self.tokens.read()
        except VertuiError as error:  # a stranger is told nothing of the home's files
            logger.warning("nobody is let in: %s", error)
            return {}
