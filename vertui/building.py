"""An image build followed to its end. Whoever stops following it ends it: nothing of it goes on unseen."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from core.daemon.client import Client
from core.errors import VertuiError
from core.model import Image
from core.verbs.image.build import Build
from vertui.output import warn
from vertui.progress import progress


class Stopped(KeyboardInterrupt):
    """This process was told to end by another signal than Ctrl-C's."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def build(client: Client, verb: Build) -> Image:
    """Build an image, showing how far it is. Ctrl-C, SIGTERM and the terminal's end also end the build."""
    with _stoppable(), progress(client, verb.name):
        try:
            return client.do(verb)
        except KeyboardInterrupt as stopped:
            vars(stopped).pop("__notes__", None)  # it does not go on
            with suppress(VertuiError):  # it may just have ended
                client.cancel_build()
            warn("interrupted: nothing is left of this build but downloads")
            raise


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and SIGHUP raise Stopped; one that `nohup` had ignored stays ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    wanted = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    saved = {number: signal.signal(number, stop) for number in wanted}
    try:
        yield
    finally:
        for number, old in saved.items():
            signal.signal(number, old)
