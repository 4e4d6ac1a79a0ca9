"""Journals: entries made durable a second by many who append at once, how long the first line takes of many, and a
session replayed from its journal beside one resumed from its suspension.

Entries are appended and read in the daemon's place: by the writer and the readers themselves, without HTTP and without
a machine.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from homes import ROOT
from report import Report
from resuming import add_resumed

from core.files import os_files
from core.journal.chain import ChainStretch, entries, holding, newest
from core.journal.check import check
from core.journal.entry import JournalEntry, JournalHead, NewEntry
from core.journal.record import entry_line, head_line
from core.journal.segment import file_of
from core.journal.writer import JournalWriter

APPENDS, CLIENTS, AT_ONCE = 20_000, 64, 10
MANY, MANY_QUICK = 10_000_000, 100_000
CHUNK_BYTES = 8 << 20
SAMPLES = 30
DURABLE, FIRST_MS = 2000, 100


def measure(quick: bool) -> Report:
    """Appends a second, the first lines, a flipped byte found, and both ways back into a session."""
    many = MANY_QUICK if quick else MANY
    report = Report(f"journal of {many:,} entries")
    ROOT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT) as directory:
        home = Path(directory)
        appends = APPENDS // 2 if quick else APPENDS
        batched = asyncio.run(_appended(home / "batched", appends, AT_ONCE))
        report.add(
            "durable appends", batched, "/s", must=DURABLE, at_least=True, promise=2,
            timed=f"{CLIENTS} at once, {AT_ONCE} entries a request, each waits for its own: hashed, synced",
        )  # fmt: skip
        single = asyncio.run(_appended(home / "single", appends, 1))
        report.add("of one entry a request", single, "/s", timed="the same, one at a time")
        spread = asyncio.run(_appended(home / "spread", appends, AT_ONCE, branches=CLIENTS))
        report.add("each to a branch of its own", spread, "/s", timed=f"{AT_ONCE} entries a request")
        chain = [_filled(home, many)]
        looks: dict[str, Callable[[], object]] = {
            "tail, first line": lambda: newest(chain, 10)[0],
            "show --from the middle": lambda: next(entries(chain, many // 2)),
            "grep, first hit": lambda: next(holding(chain, "step 17 of")),
        }
        for name, look in looks.items():
            samples = [_took_ms(look) for _ in range(3 if quick else SAMPLES)]
            report.add_samples(
                name, samples, must=FIRST_MS, promise=2, timed="to the first entry, as a value"
            )
        _flip(chain[0].file, chain[0].end * 2 // 3)
        began = time.perf_counter()
        found = check("b", chain)
        report.add(
            "verify",
            (time.perf_counter() - began) * 1e6 / found.seq,
            "µs",
            timed="an entry, up to a flipped byte",
        )
        report.add("flipped byte named", float(bool(found.problem)), "", must=1, at_least=True, promise=2)
    add_resumed(report, quick)
    return report


async def _appended(directory: Path, count: int, at_once: int, branches: int = 1) -> float:
    writer, requests = JournalWriter(directory, JournalHead), count // CLIENTS // at_once

    async def client(number: int) -> None:
        for n in range(requests):
            said = f"step {n}: the tests pass, the next one is to be written"
            wanted = [NewEntry("message", said, f"agent {number}")] * at_once
            await writer.append(f"b{number % branches}", wanted)

    began = time.perf_counter()
    await asyncio.gather(*map(client, range(CLIENTS)))
    return requests * at_once * CLIENTS / (time.perf_counter() - began)


def _filled(directory: Path, count: int) -> ChainStretch:
    path, chunk = file_of(directory, "b"), bytearray()
    for line in _lines(count):
        chunk += line + b"\n"
        if len(chunk) > CHUNK_BYTES:
            os_files.append(path, chunk)
            chunk.clear()
    os_files.append(path, chunk)
    os_files.fsync(path)
    return ChainStretch(directory, "b", path.stat().st_size)


def _lines(count: int) -> Iterator[bytes]:
    yield head_line(JournalHead("b"))
    before = ""
    for seq in range(1, count + 1):
        before, line = entry_line(
            JournalEntry(seq, 1e9 + seq, "message", "agent", f"step {seq} of the work", "", before, "")
        )
        yield line


def _flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))


def _took_ms(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000
