"""Secrets of a home: kept for nobody else to read, told nowhere, and handed over so that the agent never has them."""

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509

from core.engine import authority, secrets
from core.engine.secrets import Handed
from core.errors import Damaged, GuestFailed, NotFound, UsageError
from core.files import remove_unfinished
from core.guest.client import AgentClient
from core.guest.scripts import unseal
from core.guest.sealed import MOST_BYTES, exec_sealed
from core.home import Home
from core.model import LONGEST_SECRET, Operation, OperationState
from core.sites import spelled
from core.verbs.base import command_line
from core.verbs.secret.set import Set
from tests.stand_in import standing_in
from tests.twins.engine import Twins, twin_engine
from tests.unit.agents import PATIENCE_S, Line, collect, connected, output
from vertui.cli import main

ANSWER = Operation(7, "", "secret set", "secret set TOKEN", OperationState.DONE, undoable=False, created=1.0)
VALUE = "s3cr3t-\u00fc \"'=\\ value"


@pytest.fixture
def twins() -> Iterator[Twins]:
    with twin_engine() as made:
        yield made


async def test_values_are_kept_for_this_user_alone_and_told_nowhere(twins: Twins) -> None:
    for name in ("TOKEN", "OTHER", "TOKEN"):
        await twins.do("secret set", name, VALUE)
    await twins.do("secret rm", "OTHER")
    home, log = twins.engine.home, twins.engine.catalog.operations(10)
    assert home.secrets.stat().st_mode & 0o777 == 0o600
    assert secrets.handed(twins.engine, {"GH": "TOKEN"}) == Handed({"GH": VALUE}, {})
    assert [secret.name for secret in secrets.names(twins.engine)] == ["TOKEN"]
    assert {row.summary for row in log} == {"secret set TOKEN", "secret set OTHER", "secret rm OTHER"}
    assert not any(row.undoable for row in log)
    told = [path.read_bytes() for path in home.root.glob("catalog.db*")]
    assert told and not any(b"s3cr3t" in data for data in told)
    assert "s3cr3t" not in repr(Set("TOKEN", VALUE)) + command_line(Set("TOKEN", VALUE))


@pytest.mark.parametrize("value", ["a\0s3cr3t", "s3cr3t\ud800"])
async def test_what_no_variable_can_hold_is_refused_untold(twins: Twins, value: str) -> None:
    await twins.do("secret set", "TOKEN", VALUE)
    with pytest.raises(UsageError, match="zero bytes") as refused:
        await twins.do("secret set", "TOKEN", value)
    assert "s3cr3t" not in str(refused.value)
    assert secrets.handed(twins.engine, {"TOKEN": "TOKEN"}).values == {"TOKEN": VALUE}


async def test_a_name_is_one_of_a_variable(twins: Twins) -> None:
    for name in ("", "2ND", "a-b", "a=b", "x" * 64):
        with pytest.raises(UsageError, match="is no variable's name"):
            await twins.do("secret set", name, VALUE)
    assert not twins.engine.home.secrets.exists()


async def test_there_is_none_of_that_name(twins: Twins) -> None:
    with pytest.raises(NotFound, match="no secret 'TOKEN': `vertui secret ls`"):
        secrets.handed(twins.engine, {"GH": "TOKEN"})
    with pytest.raises(NotFound):
        await twins.do("secret rm", "TOKEN")


async def test_one_for_some_sites_is_handed_as_its_placeholder_which_stays(twins: Twins) -> None:
    await twins.do("secret set", "PLAIN", VALUE)
    await twins.do("secret set", "TOKEN", "s3cr3t-value", ("api.test", "http://*.test:8080", "api.test"))
    [_, shown] = secrets.names(twins.engine)
    assert [*map(spelled, shown.sites)] == ["api.test", "http://*.test:8080"]
    assert re.fullmatch("vertui-TOKEN-[0-9a-f]{32}", shown.placeholder)
    handed = secrets.handed(twins.engine, {"A": "TOKEN", "B": "PLAIN"})
    assert handed == Handed({"B": VALUE}, {"A": shown.placeholder})
    await twins.do("secret set", "TOKEN", "s3cr3t-value-2")
    assert secrets.names(twins.engine)[1].sites == shown.sites
    await twins.do("secret set", "TOKEN", "s3cr3t-value-3", ("other.test",), in_body=True)
    [swap] = secrets.swaps(twins.engine)
    assert (swap.value, swap.placeholder) == ("s3cr3t-value-3", shown.placeholder)
    assert ([*map(spelled, swap.sites)], swap.in_url, swap.in_body) == (["other.test"], False, True)
    log = [row.summary for row in twins.engine.catalog.operations(10)]
    assert log[0] == "secret set TOKEN for other.test" and "s3cr3t" not in str(log)
    await twins.do("secret rm", "TOKEN")
    await twins.do("secret set", "TOKEN", "s3cr3t-value", ("api.test",))
    assert secrets.names(twins.engine)[1].placeholder != shown.placeholder


@pytest.mark.parametrize("value", ["short", "two\nlines-of-it", " blanks around it ", "a\tb-and-more"])
async def test_one_for_a_site_is_what_a_header_can_hold(twins: Twins, value: str) -> None:
    with pytest.raises(UsageError, match="is one line of at least 8 bytes") as refused:
        await twins.do("secret set", "TOKEN", value, ("api.test",))
    assert value not in str(refused.value) and not twins.engine.home.secrets.exists()


async def test_what_is_no_site_is_refused(twins: Twins) -> None:
    for sites, says in ((("10.0.0.0/8",), "is no site"), (("a/b",), "is no site"), ((), "give --for SITE")):
        with pytest.raises(UsageError, match=says):
            await twins.do("secret set", "TOKEN", "s3cr3t-value", sites, in_url=True)


def test_a_home_has_one_authority_for_itself_alone(twins: Twins) -> None:
    home = twins.engine.home
    own = authority.certificate(home)
    assert own == authority.certificate(home) and home.authority.stat().st_mode & 0o777 == 0o600
    found = x509.load_pem_x509_certificate(own.encode())
    for host in ("api.test", "10.1.2.3", f"{'a' * 63}.{'b' * 63}.test"):
        made = x509.load_pem_x509_certificate(authority.signed(home, host).encode())
        made.verify_directly_issued_by(found)
    home.authority.write_text("s3cr3t")
    with pytest.raises(Damaged, match=r"authority\.pem is no authority of ours: remove it"):
        authority.certificate(home)


@pytest.mark.parametrize("data", [b'{"TOKEN": "s3cr3t"}', b"s3cr3t", b'{"TOKEN": {"value": "s3cr3t'])
async def test_a_damaged_file_is_named_and_not_quoted(twins: Twins, data: bytes) -> None:
    twins.engine.home.secrets.write_bytes(data)
    with pytest.raises(Damaged, match=r"secrets\.json is not as it was written") as damaged:
        await twins.do("secret set", "TOKEN", VALUE)
    assert "s3cr3t" not in str(damaged.value)
    assert twins.engine.home.secrets.read_bytes() == data


def test_what_a_killed_daemon_left_half_written_goes(twins: Twins) -> None:
    half = twins.engine.home.root / ".secrets.json.4711.tmp"
    half.write_text(VALUE)
    remove_unfinished(twins.engine.home.secrets)
    assert not half.exists()


@pytest.mark.parametrize(
    ("given", "sent"), [(b"value\n", "value"), (b"a\nb\n\n", "a\nb\n"), ("\u00fc".encode(), "\u00fc")]
)
def test_the_command_line_takes_the_value_from_its_input(home: Home, given: bytes, sent: str) -> None:
    done, asked = ask(home, ["secret", "set", "TOKEN"], given)
    assert (done.returncode, done.stdout) == (0, b"secret set TOKEN\n")
    assert asked == [{"name": "TOKEN", "value": sent, "sites": [], "in_url": False, "in_body": False}]


@pytest.mark.parametrize(
    ("argv", "given", "says"),
    [
        (["TOKEN"], b"\xff s3cr3t", "the input is no text in UTF-8"),
        (["TOKEN"], b"s3cr3t" * LONGEST_SECRET, "a text of at most 16384 characters"),
        (["TOKEN"], b"\n", "a text of at most 16384 characters"),
        (["2ND"], b"s3cr3t", "'2ND' is no variable's name"),
        (["TOKEN", "s3cr3t"], b"", "unexpected extra argument"),
    ],
)
def test_what_is_no_secret_is_refused_in_one_line(
    home: Home, argv: list[str], given: bytes, says: str
) -> None:
    done, asked = ask(home, ["secret", "set", *argv], given)
    assert done.returncode == 2 and not asked
    assert done.stderr.count(b"\n") == 1 and says in done.stderr.decode()
    assert says.startswith("unexpected") or b"s3cr3t" not in done.stderr


def test_secrets_are_chosen_by_name_and_never_for_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for argv, says in (
        (["--secret", "A=2B", "main", "--", "true"], "'2B' is no variable's name"),
        (["--secret", "", "main", "--", "true"], "'' is no variable's name"),
        (["--secret", "A", "main", "--attach", "3"], "--attach goes on with a command"),
    ):
        assert main(["exec", *argv]) == 2
        assert says in capsys.readouterr().err


# -- on their way --------------------------------------------------------------------------------------------


async def test_a_command_has_them_and_is_what_ps_tells(client: AgentClient) -> None:
    stream = await exec_sealed(
        client, "cat; printenv GH; echo $0 $PWD; kill -PIPE $$", {"GH": VALUE}, stdin=True, cwd="/tmp"
    )
    await stream.write_stdin(b"its own input\n")
    await stream.eof()
    out, err, end = await collect(stream)
    assert (out.decode(), err) == (f"its own input\n{VALUE}\n/bin/sh /tmp\n", b"")
    assert end.signal == 13  # no program is left with what Python ignores
    [told] = await client.ps()
    assert told.argv[:2] == ("/bin/sh", "-c") and "unseal" not in str(told)


async def test_one_with_a_terminal_has_them(client: AgentClient) -> None:
    stream = await exec_sealed(client, ["sh", "-c", "stty size; printenv GH"], {"GH": "x"}, terminal=(33, 77))
    assert (await collect(stream))[0] == b"33 77\r\nx\r\n"


async def test_neither_the_agent_nor_its_line_sees_a_value(client: AgentClient, line: Line) -> None:
    kept, given = ("in-the-clear-" + os.urandom(16).hex(), os.urandom(32).hex()), os.urandom(32).hex()
    plain = await client.exec("sleep 1000", env={"PLAIN": kept[0]})
    stream = await exec_sealed(client, "echo ready; sleep 1000", {"GH": given})
    await output(stream, b"ready\n")
    assert given.encode() in environment(stream.pid)
    seen = memory(line.agent_pid)
    assert kept[0].encode() in seen  # or else nothing would be found there
    assert given.encode() not in seen and given[:32].encode() not in seen and given[32:].encode() not in seen
    for each in (plain, stream):
        await each.signal(9)
        await collect(each)


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["no-such-program"], 127, b"vertui: no-such-program: No such file or directory\n"),
        (["/etc/passwd"], 126, b"vertui: /etc/passwd: Permission denied\n"),
    ],
)
async def test_what_cannot_be_run_says_so_as_ever(
    client: AgentClient, argv: list[str], code: int, says: bytes
) -> None:
    for start in (client.exec(argv), exec_sealed(client, argv, {"GH": VALUE})):
        _, err, end = await collect(await start)
        assert (err, end.code) == (says, code)


async def test_a_request_made_again_follows_what_it_has_started(client: AgentClient, line: Line) -> None:
    request = {"key": "k" * 32, "owner_s": PATIENCE_S}
    first = await exec_sealed(client, "printenv GH; sleep 0.3; echo end", {"GH": VALUE}, **request)
    await client.close()
    async with connected(line) as again:
        stream = await exec_sealed(again, "printenv GH; sleep 0.3; echo end", {"GH": VALUE}, **request)
        assert stream.id == first.id
        assert (await collect(stream))[0].decode() == f"{VALUE}\nend\n"


async def test_nothing_is_left_when_nobody_waits_for_it(client: AgentClient) -> None:
    asked = asyncio.create_task(exec_sealed(client, "printenv GH", {"GH": VALUE}))
    while not await client.ps():
        await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    async with asyncio.timeout(PATIENCE_S):
        while any(command.exit_code is None for command in await client.ps()):
            await asyncio.sleep(0.01)


async def test_an_agent_that_knows_nothing_of_them_is_told_none(
    client: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = client.exec

    async def older(*given: object, **options: object) -> object:
        stream = await start(*given, **options)  # type: ignore[arg-type]
        stream.again = None
        return stream

    monkeypatch.setattr(client, "exec", older)
    with pytest.raises(GuestFailed, match="build the image again"):
        await exec_sealed(client, "true", {"GH": VALUE})
    assert await client.ps() == []


async def test_more_than_a_frame_is_refused(client: AgentClient) -> None:
    with pytest.raises(UsageError, match="may take"):
        await exec_sealed(client, "true", {"A": "x" * (MOST_BYTES - 1)})
    stream = await exec_sealed(client, 'echo "${#A}"', {"A": "x" * (MOST_BYTES - 2)})
    assert (await collect(stream))[0] == b"%d\n" % (MOST_BYTES - 2)


def test_both_ends_read_what_the_other_has_sealed() -> None:
    ours, theirs = unseal.new_private(), unseal.new_private()
    sealed = unseal.veiled(b"value" * 1000, ours, unseal.public(theirs))
    assert unseal.veiled(sealed, theirs, unseal.public(ours)) == b"value" * 1000
    assert b"value" not in sealed
    assert all(probably_prime(number) for number in (unseal.PRIME, (unseal.PRIME - 1) // 2))


def probably_prime(number: int) -> bool:
    """Miller and Rabin's test, for the base 2 and some others."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7):
        powers = [pow(base, odd << step, number) for step in range(twos)]
        if powers[0] != 1 and number - 1 not in powers:
            return False
    return True


def test_at_a_terminal_it_is_typed_unseen(home: Home) -> None:
    bodies: list[bytes] = []
    with standing_in(home, {"/v1/secret/set": ANSWER}, bodies):
        pid, terminal = pty.fork()
        if pid == 0:
            argv = [sys.executable, "-m", "vertui", "secret", "set", "TOKEN"]
            os.execve(argv[0], argv, os.environ | {"VERTUI_HOME": str(home.root)})
        shown = b""
        while not shown.endswith(b"value: "):
            shown += os.read(terminal, 1024)
        os.write(terminal, b"s3cr3t\n")
        with suppress(OSError):  # that the other end is closed
            while data := os.read(terminal, 1024):
                shown += data
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        os.close(terminal)
    assert b"s3cr3t" not in shown and shown.endswith(b"secret set TOKEN\r\n")
    assert [json.loads(body)["value"] for body in bodies] == ["s3cr3t"]


def ask(home: Home, argv: list[str], given: bytes) -> tuple[subprocess.CompletedProcess[bytes], list[object]]:
    """A command line beside a daemon that agrees to all, with this as its input; what was asked."""
    bodies: list[bytes] = []
    with standing_in(home, {"/v1/secret/set": ANSWER}, bodies):
        done = subprocess.run(
            [sys.executable, "-m", "vertui", *argv],
            input=given, capture_output=True, check=False, env=os.environ | {"VERTUI_HOME": str(home.root)},
        )  # fmt: skip
    return done, list(map(json.loads, bodies))


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def memory(pid: int) -> bytes:
    """All that a process has written in its memory."""
    found = []
    maps = Path(f"/proc/{pid}/maps").read_text()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        for begin, end in re.findall(r"^(\w+)-(\w+) rw", maps, re.MULTILINE):
            file.seek(int(begin, 16))
            found.append(file.read(int(end, 16) - int(begin, 16)))
    return b"".join(found)
