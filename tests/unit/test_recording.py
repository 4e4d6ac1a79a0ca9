"""What a branch's journal says of a command: all that a replay compares, bounded output, and no value of a variable."""

from pathlib import Path

from blake3 import blake3

from core.commands import Recorded
from core.engine.recording import KEPT_BYTES, CommandRecord
from core.guest.streams import CommandExit, CommandOutput, StreamName
from core.journal.chain import ChainStretch, entries, given_to
from core.journal.entry import JournalEntry
from core.journal.means import MOST_KEPT_BYTES, CommandMeans, means_of
from core.model import BranchState, ExecRequest
from tests.unit.engines import HEAD, engine_of, put

OUT, ERR = StreamName.STDOUT, StreamName.STDERR


async def recorded(
    directory: Path, request: ExecRequest, *said: CommandOutput | CommandExit, typed: bytes = b""
) -> JournalEntry:
    directory.mkdir(exist_ok=True)
    with engine_of(directory) as engine:
        put(engine, "b1", BranchState.RUNNING)
        record = CommandRecord(engine.journals, "b1", HEAD, request, 7)
        if typed:
            record.given(typed)
        for item in said:
            record.said(item)
        if not isinstance(said[-1], CommandExit):
            record.close()
        assert engine.journals.last("b1") == 1
        record.close()
        await engine.journals.writer.flush()
        [entry] = entries(engine.journals.chain("b1"), whole=True)
        return entry


async def test_all_that_a_replay_compares_and_no_secret(tmp_path: Path) -> None:
    request = ExecRequest(
        "b1", ("make", "a b"), {"K": "hidden"}, "/work", "joe", secrets={"TOKEN": "GH"}, author="planner"
    )
    said = (CommandOutput(OUT, 0, b"one\n"), CommandOutput(ERR, 0, b"\xff"), CommandOutput(OUT, 4, b"two\n"))
    entry = await recorded(tmp_path, request, *said, CommandExit(3, None, False, 8, 1), typed=b"yes\n")
    ran = entry.exec
    assert ran and (entry.kind, entry.author, entry.commit) == ("exec", "planner", HEAD)
    assert entry.body == "one\n�two\n" and (ran.command, ran.exit, ran.timed_out) == (7, 3, False)
    assert (ran.argv, ran.cwd, ran.user, ran.env) == (("make", "a b"), "/work", "joe", ("K", "TOKEN"))
    assert (ran.stdin_bytes, ran.stdin_hash) == (4, blake3(b"yes\n").hexdigest())
    both = blake3(b"one\ntwo\n").digest() + blake3(b"\xff").digest()
    assert (ran.stdout_bytes, ran.stderr_bytes, ran.output_hash) == (8, 1, blake3(both).hexdigest())
    [line] = (tmp_path / "home" / "journal" / "b1.journal").read_bytes().split(b"\n")[1:-1]
    assert b"hidden" not in line and ran.duration_ms > 0
    given = given_of(tmp_path, entry)
    assert (
        given
        and (given.env, given.stdin) == ({"K": "hidden"}, b"yes\n")
        and ran.secrets == (("TOKEN", "GH"),)
    )
    assert (tmp_path / "home" / "journal" / "b1.bodies").stat().st_mode & 0o77 == 0
    salted = await recorded(tmp_path / "again", request, CommandExit(3, None, False, 0, 0), typed=b"yes\n")
    assert salted.exec and salted.exec.given and salted.exec.given != ran.given, "no value can be tried out"


async def test_what_is_typed_at_a_terminal_or_is_too_much_is_not_kept(tmp_path: Path) -> None:
    end, env = CommandExit(0, None, False, 0, 0), {"K": "v"}
    at_terminal = ExecRequest("b1", ("sh",), env, tty=True)
    silent = ExecRequest("b1", ("sh",), env, recorded="none")
    for directory, request in ((tmp_path / "tty", at_terminal), (tmp_path / "none", silent)):
        entry = await recorded(directory, request, end, typed=b"secret\n")
        assert given_of(directory, entry) is None and entry.exec and entry.exec.env == ("K",)
    large = bytes(MOST_KEPT_BYTES + 1)
    entry = await recorded(tmp_path / "much", ExecRequest("b1", ("cat",), env), end, typed=large)
    assert given_of(tmp_path / "much", entry) == CommandMeans(env, b"")
    assert entry.exec and entry.exec.stdin_bytes == len(large)


def given_of(directory: Path, entry: JournalEntry) -> CommandMeans | None:
    data = given_to([ChainStretch(directory / "home" / "journal", "b1", 1)], entry)
    return None if data is None else means_of(data)


async def test_much_output_is_bounded_and_a_terminals_is_not_kept(tmp_path: Path) -> None:
    data = bytes(range(97, 123)) * 10_000
    pieces = [CommandOutput(OUT, at, data[at : at + 9999]) for at in range(0, len(data), 9999)]
    entry = await recorded(tmp_path / "a", ExecRequest("b1", ("yes",)), *pieces)
    first, last = KEPT_BYTES["some"]
    begin, end, left_out = data[:first].decode(), data[-last:].decode(), len(data) - first - last
    assert entry.body == f"{begin}\n[{left_out} bytes more]\n{end}"
    wanted: dict[Recorded, str] = {"all": data.decode(), "none": ""}
    for how, kept in wanted.items():
        request = ExecRequest("b1", ("yes",), recorded=how)
        assert (await recorded(tmp_path / how, request, *pieces)).body == kept
    assert entry.exec and entry.exec.exit is None and not entry.exec.output_hash
    gone = CommandOutput(OUT, 9, b"late", dropped=9)
    entry = await recorded(
        tmp_path / "b", ExecRequest("b1", ("sh",), tty=True), gone, CommandExit(0, None, True, 13, 0)
    )
    assert entry.exec and (entry.body, entry.exec.stdout_bytes, entry.exec.output_hash) == ("", 13, "")
    assert entry.exec.timed_out
