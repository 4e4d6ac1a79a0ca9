"""How far the build of an image is and how long it will take, told to whoever listens while it is at work.

What each step took is kept in the home: the next build's forecast is what this machine needed before.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from core.engine.context import Engine
from core.engine.kept_file import KeptFile
from core.errors import VertuiError
from core.progress import BuildProgress, BuildStep

USUAL_S = {
    BuildStep.INSTALL: 150.0,
    BuildStep.UNPACK: 15.0,
    BuildStep.DISK: 30.0,
    BuildStep.INITRD: 3.0,
    BuildStep.BOOT: 20.0,
    BuildStep.COMMIT: 10.0,
    BuildStep.LEARN: 10.0,
}
"""A first guess, of an emulating host with two cores and a mirror near by."""

TELL_S = 1.0  # between forecasts: the time left is shown in seconds
MEASURED = 0.1  # from this share on, a step's own pace tells more than what it took before
MOST_FORESEEN = 0.95  # of a step that takes longer than foreseen


class BuildWatch:
    """Follows one build. `step` is to be told each step as it begins and how much of it is done."""

    def __init__(self, engine: Engine, image: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._image, self._clock = engine, image, clock
        self._file = KeptFile(engine.home.builds, float, "remove it, it only foretells how long builds take")
        self._before = self._read()
        self._took: dict[BuildStep, float] = {}
        self._steps: list[BuildStep] = []
        self._now: BuildStep | None = None
        self._began = self._fraction = self._whole = 0.0
        self._line = self._note = ""

    def step(self, step: BuildStep, fraction: float, line: str = "") -> None:
        """So much of this step is done, and what happens in it."""
        now = self._clock()
        if step is not self._now:
            self._took |= {self._now: now - self._began} if self._now else {}
            self._steps = self._steps or list(BuildStep)[list(BuildStep).index(step) :]
            self._now, self._began, self._fraction, self._line = step, now, 0.0, ""
        self._fraction, self._line = max(self._fraction, fraction), line or self._line
        self.tell()

    def note(self, text: str) -> None:
        """Something went otherwise than was tried first; it is told until the build ends."""
        self._note = text
        self.tell()

    def tell(self) -> None:
        """Tell how far it is, to whoever has just come as well."""
        if self._now is not None:
            told = self._progress(self._now)
            self._engine.events.publish("progress", self._image, str(self._now), self._whole, progress=told)

    async def tell_on(self) -> None:
        """Tell it for as long as the build is at work."""
        while True:
            await asyncio.sleep(TELL_S)
            self.tell()

    def keep(self) -> None:
        """The build is done: keep what its steps took."""
        if self._now is not None:
            self._took[self._now] = self._clock() - self._began
        try:
            self._file.write({**self._before, **{str(step): took for step, took in self._took.items()}})
        except VertuiError as error:  # an image that is ready needs no forecast
            logging.getLogger(__name__).warning("what the build took is not kept: %s", error)

    def _read(self) -> dict[str, float]:
        with contextlib.suppress(VertuiError):  # written anew when this build is done
            return self._file.read()
        return {}

    def _progress(self, step: BuildStep) -> BuildProgress:
        place, foreseen = self._steps.index(step), list(map(self._foreseen_s, self._steps))
        usual, spent = foreseen[place], self._clock() - self._began
        done = max(self._fraction, min(spent / usual, MOST_FORESEEN))
        self._whole = max(self._whole, min((sum(foreseen[:place]) + done * usual) / sum(foreseen), 1.0))
        measured = self._fraction if self._fraction >= MEASURED else done
        left = spent * (1 - measured) / measured if measured >= MEASURED else usual - spent
        guessed = not all(str(one) in self._before for one in self._steps[place:])
        left_s = round(max(left, 0.0) + sum(foreseen[place + 1 :]), 1)
        return BuildProgress(step, place + 1, len(self._steps), left_s, guessed, self._line, self._note)

    def _foreseen_s(self, step: BuildStep) -> float:
        return max(self._before.get(str(step), USUAL_S[step]), MEASURED)
