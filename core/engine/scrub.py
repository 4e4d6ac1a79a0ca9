"""Files wiped in a guest before it is committed."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct

from core.engine.guests import output_of
from core.engine.live import Live
from core.errors import Conflict, GuestFailed, VertuiError
from core.guest.answers import malformed, told
from core.guest.scripts import guest_script
from core.names import meant, spelled
from core.patience import patient

WIPE_S = patient(600.0)
SHOWN = 5  # files that could not be wiped


class Wiped(Struct):
    """What core.guest.scripts.scrub tells: how many files were wiped, and why others were not."""

    wiped: int
    problems: list[str]


@asynccontextmanager
async def wiped_first(live: Live, paths: Sequence[str]) -> AsyncIterator[None]:
    """Have files wiped in the guest, then the body done. Conflict when one cannot be: then none was.

    GuestFailed when the guest failed at it, and may have wiped some. What fails in the body says that they are gone.
    """
    if paths:
        await _wipe(live, paths)
    try:
        yield
    except VertuiError as error:
        if paths:
            raise type(error)(f"{error}; the files that were to be scrubbed are gone already") from error
        raise


async def _wipe(live: Live, paths: Sequence[str]) -> None:
    names = [meant(path).decode("utf-8", "surrogateescape") for path in paths]
    said = await output_of(live, guest_script("scrub", *names), WIPE_S)
    try:
        answer = told(await asyncio.to_thread(json.loads, said), Wiped)
    except (ValueError, RecursionError) as error:
        raise malformed("no account of what was wiped") from error
    if not answer.problems:
        return
    why = "; ".join(spelled(one.encode("utf-8", "surrogatepass")) for one in answer.problems[:SHOWN])
    if answer.wiped:
        raise GuestFailed(f"{answer.wiped} of {len(paths)} files were wiped, and no commit was made: {why}")
    raise Conflict(f"nothing was wiped and no commit was made: {why}")
