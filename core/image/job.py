"""`python -m core.image.job`: an image build as a job of its own, in the host's network namespace.

It prints a line of JSON a `BuildNews`. `run_digest` and `run_build` are the daemon's side.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path

from msgspec import Struct

from core.codec import decode, encode
from core.errors import VertuiError, by_kind
from core.holder.porter import run_job
from core.image.build import build_files, digest
from core.image.recipe import Recipe
from core.image.tools import hearing
from core.progress import BuildStep

TELL_S = 0.2  # between two lines of one step: more cannot be read
LONGEST_LINE = 200  # characters of what a tool says
Tell = Callable[[BuildStep, float, str], None]


class BuildFailure(Struct):
    """Why there is no image."""

    kind: str
    message: str


class BuildNews(Struct, omit_defaults=True):
    """How far a build is, what a tool just said, and at last the digest, that it is done, or why it is not."""

    step: BuildStep | None = None
    fraction: float = 0.0
    line: str = ""
    digest: str = ""
    done: bool = False
    error: BuildFailure | None = None


async def run_digest(porter: int, recipe: Recipe) -> str:
    """The digest of the image a recipe would make now."""
    async for message in _messages(porter, recipe, []):
        if message.digest:
            return message.digest
    raise VertuiError("the image build ended without a word: see holder.log")


async def run_build(porter: int, recipe: Recipe, directory: Path, cache: Path, tell: Tell) -> None:
    """Fill `directory` with the image's files; killed with all it started when cancelled."""
    done = False
    async for message in _messages(porter, recipe, [str(directory), str(cache)]):
        done = done or message.done
        if message.step:
            tell(message.step, message.fraction, message.line)
    if not done:
        raise VertuiError("the image build was ended from outside: try again")


async def _messages(porter: int, recipe: Recipe, paths: list[str]) -> AsyncIterator[BuildNews]:
    argv = [sys.executable, "-m", "core.image.job", json.dumps(asdict(recipe)), *paths]
    last = ""
    async for line in run_job(porter, argv):
        try:
            message = decode(BuildNews, json.loads(line))
        except ValueError:
            last = line
            continue
        if message.error:
            raise by_kind(message.error.kind, message.error.message)
        yield message
    if last:
        raise VertuiError(f"the image build failed: {last[:200]}")


def main() -> None:
    """Digest (recipe) or build (recipe, directory, cache)."""
    fields = json.loads(sys.argv[1])
    try:
        recipe = Recipe(**fields | {"packages": tuple(fields["packages"])})
        if len(sys.argv) == 2:
            _say(BuildNews(digest=asyncio.run(digest(recipe))))
        else:
            asyncio.run(_build(recipe, Path(sys.argv[2]), Path(sys.argv[3])))
            _say(BuildNews(done=True))
    except VertuiError as error:
        _say(BuildNews(error=BuildFailure(error.kind, str(error))))
        sys.exit(error.exit_status)
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)


async def _build(recipe: Recipe, directory: Path, cache: Path) -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

    speaker = Speaker()
    hearing.set(speaker.hear)
    await build_files(recipe, directory, cache, speaker.step)


class Speaker:
    """Says how far a build is: each step when it begins, else a few times a second."""

    def __init__(self) -> None:
        self._news = BuildNews()
        self._said = 0.0

    def step(self, step: BuildStep, fraction: float) -> None:
        """So much of a step is done."""
        news = self._news
        self._tell(BuildNews(step, fraction, news.line if step is news.step else ""))

    def hear(self, line: str) -> None:
        """A tool said this."""
        if line := line.strip():
            self._tell(BuildNews(self._news.step, self._news.fraction, line[:LONGEST_LINE]))

    def _tell(self, news: BuildNews) -> None:
        begins, self._news, now = news.step is not self._news.step, news, time.monotonic()
        if begins or now - self._said >= TELL_S:
            self._said = now
            _say(news)


def _say(message: BuildNews) -> None:
    print(json.dumps(encode(message)), flush=True)


if __name__ == "__main__":
    main()
