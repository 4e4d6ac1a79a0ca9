"""What the processes of a home log is bounded, a record a line whoever wrote it, and nothing that logs can fail."""

import subprocess
import sys
import time
from pathlib import Path

from core.log import KEPT_BYTES, LARGEST_BYTES, shorten
from core.log_files import HEAD, LogFile, Logs, in_order, last_reason, older

HEADED = "2026-11-29T06:37:{:06.3f}Z {} daemon: {}"
BEGIN = "import sys, logging\nfrom core.log import log_as, REQUEST\nlog_as('test')\nlog = logging.getLogger('core.x')\n"
REPEATS = (
    BEGIN
    + """
for number in range(1000):
    try:
        raise ValueError('the same')
    except ValueError:
        log.exception('once')
    log.warning('each its own %d', number % 2)
"""
)
HOSTILE = (
    BEGIN
    + r"""
REQUEST.set('r1')
log.info('a\x1b[2J\n2026-11-29T06:37:24.123Z INFO daemon: forged \udc80 \u202e é')
"""
)
UNCAUGHT = (
    BEGIN
    + """
import threading
def dies(): raise KeyError('in a thread')
thread = threading.Thread(target=dies)
thread.start()
thread.join()
raise ValueError('in the\\nmain program')
"""
)
FULL = BEGIN + "log.warning('nobody hears it')\nprint('lives')"
LARGE, EACH = (
    4000,
    750,
)  # characters of a record, records of each of two processes: one file, and half of another
MANY = BEGIN + f"for number in range({EACH}): log.info('%s %d %s', sys.argv[1], number, 'x' * {LARGE})"


def started(program: str, log: Path, *argv: str) -> subprocess.Popen[str]:
    """A process whose descriptors 1 and 2 are the log, as the holder starts them."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-c", program, *argv], stdout=output, stderr=output, text=True
        )


def logged(program: str, log: Path, status: int = 0) -> list[str]:
    """Its lines, once it has ended."""
    assert started(program, log).wait() == status
    return log.read_text().split("\n")[:-1]


def test_what_repeats_is_logged_once(tmp_path: Path) -> None:
    lines = logged(REPEATS, tmp_path / "log")
    assert [line for line in lines if "ValueError" in line] == ["    ValueError: the same"]
    assert [HEAD.sub("", line) for line in lines if "own" in line] == ["each its own 0", "each its own 1"]


def test_a_text_is_one_line_and_no_control(tmp_path: Path) -> None:
    [line] = logged(HOSTILE, tmp_path / "log")
    assert line.endswith(
        r"INFO test: a\x1b[2J\n2026-11-29T06:37:24.123Z INFO daemon: forged \udc80 \u202e é [r1]"
    )


def test_what_nobody_catches_is_logged(tmp_path: Path) -> None:
    lines = logged(UNCAUGHT, tmp_path / "log", status=1)
    heads = [line for line in lines if HEAD.match(line)]
    assert [HEAD.sub("", head) for head in heads] == ["KeyError", "ValueError"]
    assert lines[-2:] == ["    ValueError: in the", "    main program"], (
        "what belongs to a record is indented"
    )


def test_a_full_disk_ends_nobody() -> None:
    with Path("/dev/full").open("ab") as full:
        done = subprocess.run([sys.executable, "-c", FULL], stdout=subprocess.PIPE, stderr=full, check=True)
    assert done.stdout == b"lives\n"


def test_a_log_is_renamed_when_it_is_full_and_its_reader_misses_nothing(tmp_path: Path) -> None:
    """Also when two processes have it: each line is read once, whoever renamed what meanwhile."""
    path = tmp_path / "log"
    assert LARGEST_BYTES < 2 * EACH * LARGE < 2 * LARGEST_BYTES
    writers = [started(MANY, path, name) for name in ("a", "b")]
    reader, lines = LogFile(path), list[bytes]()
    while any(writer.poll() is None for writer in writers):
        lines += reader.read()
        time.sleep(0.01)
    lines += reader.read()
    reader.close()
    told = [HEAD.sub("", line.decode()).split(" ")[:2] for line in lines]
    for name in ("a", "b"):
        assert [number for writer, number in told if writer == name] == [str(n) for n in range(EACH)]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["log", "log.1"]
    most = LARGEST_BYTES * 3 // 2  # nobody waits: one writes on while the other is about to rename it
    assert path.stat().st_size <= most and older(path).stat().st_size <= most


def test_a_log_that_cannot_be_renamed_keeps_its_newest_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"line %09d\n" % number for number in range(LARGEST_BYTES // 15 + 1)))
    reader = LogFile(path)
    assert len(reader.read()) == LARGEST_BYTES // 15 + 1
    with path.open("ab", buffering=0) as appending:
        shorten(path)
        assert reader.read() == []
        appending.write(b"and on\n")
    assert reader.read() == [b"and on"]
    reader.close()
    lines = path.read_bytes().split(b"\n")[:-1]
    assert path.stat().st_size <= KEPT_BYTES + 10
    assert lines[-1] == b"and on" and all(len(line) == 14 for line in lines[:-1])


def test_all_logs_are_read_as_one_by_time(tmp_path: Path) -> None:
    first, second = HEADED.format(1, "ERROR", "first"), HEADED.format(2, "INFO", "second")
    third = HEADED.format(3, "INFO", "third")
    trace = "    Traceback"
    assert in_order([[third.encode()], [first.encode(), trace.encode(), second.encode()]]) == [
        first, trace, second, third,
    ]  # fmt: skip
    logs = Logs(tmp_path)
    assert logs.read(2) == []
    older(tmp_path / "daemon.log").write_text(f"{first}\n")
    (tmp_path / "holder.log").write_text(f"{third}\n")
    (tmp_path / "daemon.log").write_text(f"{second}\nhalf")
    logs.close()
    logs = Logs(tmp_path)
    assert logs.read(2) == [second, third]
    with (tmp_path / "daemon.log").open("a") as log:
        log.write(" a line\n")
    assert logs.read() == ["half a line"]
    logs.close()


def test_the_reason_of_a_failure_is_what_was_said_last_of_a_trouble() -> None:
    lines = [HEADED.format(1, "CRITICAL", "no disk"), HEADED.format(2, "INFO", "starts"), ""]
    assert last_reason(lines) == "no disk"
    assert last_reason([*lines, "    ValueError: a bug", ""]) == "ValueError: a bug"
    assert last_reason(lines[1:]) == ""
