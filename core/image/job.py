"""`python -m core.image.job`: an image build as a job of its own, in the host's network namespace.

It prints one JSON object a line: {"step", "fraction"} as it goes, then {"digest"} or {"done": true}, or
{"error": {"kind", "message"}}. `run_digest` and `run_build` are the daemon's side.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.errors import VertuiError, by_kind
from core.holder.porter import run_job
from core.image.build import Progress, build_files, digest
from core.image.recipe import Recipe


async def run_digest(porter: int, recipe: Recipe) -> str:
    """The digest of the image a recipe would make now."""
    async for message in _messages(porter, recipe, []):
        if "digest" in message:
            return str(message["digest"])
    raise VertuiError("the image build ended without a word: see holder.log")


async def run_build(porter: int, recipe: Recipe, directory: Path, cache: Path, progress: Progress) -> None:
    """Fill `directory` with the image's files; killed with all it started when cancelled."""
    done = False
    async for message in _messages(porter, recipe, [str(directory), str(cache)]):
        done = done or "done" in message
        if "step" in message:
            progress(str(message["step"]), float(message["fraction"]))
    if not done:
        raise VertuiError("the image build was ended from outside: try again")


async def _messages(porter: int, recipe: Recipe, paths: list[str]) -> AsyncIterator[dict[str, Any]]:
    argv = [sys.executable, "-m", "core.image.job", json.dumps(asdict(recipe)), *paths]
    last = ""
    async for line in run_job(porter, argv):
        try:
            message = json.loads(line)
        except ValueError:
            last = line
            continue
        if "error" in message:
            raise by_kind(message["error"]["kind"], message["error"]["message"])
        yield message
    if last:
        raise VertuiError(f"the image build failed: {last[:200]}")


def main() -> None:
    """Digest (recipe) or build (recipe, directory, cache)."""
    fields = json.loads(sys.argv[1])
    try:
        recipe = Recipe(**fields | {"packages": tuple(fields["packages"])})
        if len(sys.argv) == 2:
            _say({"digest": asyncio.run(digest(recipe))})
        else:
            asyncio.run(_build(recipe, Path(sys.argv[2]), Path(sys.argv[3])))
            _say({"done": True})
    except VertuiError as error:
        _say({"error": {"kind": error.kind, "message": str(error)}})
        sys.exit(error.exit_status)
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)


async def _build(recipe: Recipe, directory: Path, cache: Path) -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

    def progress(step: str, fraction: float) -> None:
        _say({"step": step, "fraction": fraction})

    await build_files(recipe, directory, cache, progress)


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
