"""`python -m core.image.job`: an image build as a job of its own, in the host's network namespace.

It prints a line of JSON a `BuildNews`. `run_digest` and `run_build` are the daemon's side.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from msgspec import Struct

from core.codec import decode, encode
from core.errors import VertuiError, by_kind
from core.holder.porter import run_job
from core.image.build import Progress, build_files, digest
from core.image.recipe import Recipe


class BuildFailure(Struct):
    """Why there is no image."""

    kind: str
    message: str


class BuildNews(Struct, omit_defaults=True):
    """How far a build is, and at last the digest, that it is done, or why it is not."""

    step: str = ""
    fraction: float = 0.0
    digest: str = ""
    done: bool = False
    error: BuildFailure | None = None


async def run_digest(porter: int, recipe: Recipe) -> str:
    """The digest of the image a recipe would make now."""
    async for message in _messages(porter, recipe, []):
        if message.digest:
            return message.digest
    raise VertuiError("the image build ended without a word: see holder.log")


async def run_build(porter: int, recipe: Recipe, directory: Path, cache: Path, progress: Progress) -> None:
    """Fill `directory` with the image's files; killed with all it started when cancelled."""
    done = False
    async for message in _messages(porter, recipe, [str(directory), str(cache)]):
        done = done or message.done
        if message.step:
            progress(message.step, message.fraction)
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

    def progress(step: str, fraction: float) -> None:
        _say(BuildNews(step=step, fraction=fraction))

    await build_files(recipe, directory, cache, progress)


def _say(message: BuildNews) -> None:
    print(json.dumps(encode(message)), flush=True)


if __name__ == "__main__":
    main()
