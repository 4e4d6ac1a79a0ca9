"""What background threads tell the app. Bursts of the same message become one."""

from collections.abc import Callable
from typing import Any

from textual.message import Message

from core.errors import VertuiError


class Arrived(Message):
    """The watcher has news."""

    def can_replace(self, message: Message) -> bool:
        """One is enough: the handler takes all there is."""
        return isinstance(message, Arrived)


class Printed(Message):
    """A follower has new lines."""

    def can_replace(self, message: Message) -> bool:
        """One is enough: the handler takes all there is."""
        return isinstance(message, Printed)


class Finished(Message):
    """A call made in a thread has ended: with `result` for `then`, or with `error` for `failed`."""

    def __init__(
        self,
        doing: str,
        then: Callable[[Any], object],
        failed: Callable[[VertuiError], object],
        result: object,
        error: VertuiError | None,
    ) -> None:
        super().__init__()
        self.doing, self.then, self.failed = doing, then, failed
        self.result, self.error = result, error
