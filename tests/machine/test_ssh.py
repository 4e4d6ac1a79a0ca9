"""Stock ssh, scp, sftp, rsync and git reach each branch as themselves: whole, with every check on and no warning."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.home import Home
from core.patience import patient
from tests.conftest import full
from tests.guests import SOON_S, Guest, eventually

VERTUI = (sys.executable, "-m", "vertui")
LONGEST_S = patient(300.0)
BULK_BYTES = (200 if full() else 6) << 20
AT_ONCE = 20 if full() else 5
PLAIN = {"LC_ALL": "C", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
AUTHOR = {f"GIT_{role}_{what}": "test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
BANNER = b"SSH-2.0-OpenSSH"


@dataclass(frozen=True)
class Clients:
    """Programs of this machine, told of branches by `vertui ssh-config` alone."""

    config: Path
    environment: dict[str, str] = field(default_factory=lambda: os.environ | PLAIN | AUTHOR)

    @property
    def ssh(self) -> list[str]:
        """Its command line, without a host."""
        return ["ssh", "-F", str(self.config), "-o", "BatchMode=yes"]

    def run(self, *argv: object, stdin: str = "", code: int = 0) -> str:
        """What a program prints that is to say nothing else; of one that fails what it says."""
        done = subprocess.run(
            list(map(str, argv)),
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        assert done.returncode == code, f"{argv}: {done.returncode} {done.stdout} {done.stderr}"
        assert code or not done.stderr, f"{argv} warns: {done.stderr}"
        return done.stderr if code else done.stdout

    def at(self, branch: str, *command: str) -> str:
        """What a command prints in a branch."""
        return self.run(*self.ssh, f"{branch}.vertui", *command).rstrip("\n")

    @contextmanager
    def session(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """One that goes on."""
        argv = [*self.ssh, *words]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(argv, env=self.environment, **pipes) as process:  # type: ignore[call-overload]
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture
def clients(home: Home, tmp_path: Path) -> Clients:
    config = tmp_path / "ssh-config"
    config.write_text(
        subprocess.run([*VERTUI, "ssh-config"], capture_output=True, text=True, check=True).stdout
    )
    made = Clients(config)
    bin_ = Path(sys.executable).parent
    made.environment["PATH"] = f"{bin_}:{made.environment['PATH']}"
    made.environment["GIT_SSH_COMMAND"] = " ".join(made.ssh)
    return made


def answered(process: subprocess.Popen[bytes], line: bytes) -> bytes:
    """What a session that repeats what it is told says to a line."""
    assert process.stdin and process.stdout
    process.stdin.write(line + b"\n")
    process.stdin.flush()
    return process.stdout.readline().rstrip(b"\n")


def tree(root: Path) -> dict[str, tuple[int, str]]:
    """Names, modes and contents, links as such."""
    found = {}
    for path in sorted(root.rglob("*")):
        what = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found[str(path.relative_to(root))] = (path.lstat().st_mode, what)
    return found


def test_a_branch_is_who_it_says_and_no_other_is_taken_for_it(
    clients: Clients, main: Guest, client: Client
) -> None:
    client.fork("main", n=2)
    for name in ("main", "b1", "b2"):
        assert clients.at(name, "cat /proc/sys/kernel/hostname; id -un") == f"{name}\nroot"
    assert clients.run(*VERTUI, "ssh", "@trunk", "-T", "--", "echo", "$HOSTNAME") == "main\n"
    other = f"{sys.executable} -m vertui connect --pass b2 22"
    said = clients.run(*clients.ssh, "-o", f"ProxyCommand={other}", "b1.vertui", "true", code=255)
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in said and "Host key verification failed" in said
    assert "authorized_keys" not in str(client.diff("main~1", "main")), "it lies on no disk"
    assert clients.run(*VERTUI, "connect", "b1.vertui", 22).startswith(BANNER.decode())
    assert "nothing listens on port 1 of b1" in clients.run(*VERTUI, "connect", "b1", 1, code=5)
    client.restore("b1")
    assert clients.at("b1", "echo restored") == "restored"


def test_files_and_commits_come_and_go(clients: Clients, main: Guest, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    (ours / "sub dir").mkdir(parents=True)
    (ours / "a").write_text("a\n")
    (ours / "sub dir" / "run").write_text("#!/bin/sh\n")
    (ours / "sub dir" / "run").chmod(0o750)
    clients.run("scp", "-q", "-p", "-r", "-F", clients.config, ours, "main.vertui:/srv/scp")
    (ours / "link").symlink_to("a")
    shell = " ".join(clients.ssh)
    clients.run("rsync", "-a", "-e", shell, f"{ours}/", "main.vertui:/srv/rsync")
    clients.run("rsync", "-a", "-e", shell, "main.vertui:/srv/rsync/", tmp_path / "back")
    assert tree(tmp_path / "back") == tree(ours)
    batch = f"get -r -p /srv/scp {tmp_path}/got\n"
    clients.run("sftp", "-q", "-F", clients.config, "-b", "-", "main.vertui", stdin=batch)
    (ours / "link").unlink()
    assert tree(tmp_path / "got") == tree(ours)

    main.text("git init -q --bare -b work /srv/app")
    work = tmp_path / "work"
    clients.run("git", "init", "-q", "-b", "work", work)
    (work / "file").write_text("one\n")
    clients.run("git", "-C", work, "add", "file")
    clients.run("git", "-C", work, "commit", "-q", "-m", "one")
    clients.run("git", "-C", work, "remote", "add", "m", "vertui::main:/srv/app")
    clients.run("git", "-C", work, "push", "-q", "m", "work")
    clients.run("git", "clone", "-q", "ssh://main.vertui/srv/app", tmp_path / "cloned")
    (tmp_path / "cloned" / "file").write_text("two\n")
    clients.run("git", "-C", tmp_path / "cloned", "commit", "-q", "-a", "-m", "two")
    clients.run("git", "-C", tmp_path / "cloned", "push", "-q")
    clients.run("git", "-C", work, "pull", "-q", "m", "work")
    assert (work / "file").read_text() == "two\n"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def banner(connection: socket.socket) -> bytes:
    with connection:
        connection.settimeout(SOON_S)
        return connection.recv(100)


def by_socks(port: int) -> socket.socket:
    """A connection to the guest's own port 22, by SOCKS 5 (RFC 1928)."""
    connection = socket.create_connection(("127.0.0.1", port), SOON_S)
    connection.sendall(b"\x05\x01\x00")
    assert connection.recv(2) == b"\x05\x00"
    connection.sendall(b"\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1") + (22).to_bytes(2, "big"))
    assert connection.recv(10)[:2] == b"\x05\x00"
    return connection


@pytest.fixture
def agent(clients: Clients, tmp_path: Path) -> Iterator[str]:
    """An ssh-agent with a key; the key's fingerprint."""
    path = tmp_path / "agent.sock"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        try:
            clients.environment["SSH_AUTH_SOCK"] = str(path)
            clients.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key")
            assert eventually(path.exists)
            subprocess.run(["ssh-add", "-q", tmp_path / "key"], env=clients.environment, check=True)
            yield clients.run("ssh-keygen", "-l", "-f", tmp_path / "key").split()[1]
        finally:
            process.terminate()


def test_a_session_forwards_and_lasts_as_long_as_its_machine(
    clients: Clients, main: Guest, client: Client, agent: str
) -> None:
    local, socks = free_port(), free_port()
    forwards = ("-A", "-L", f"{local}:localhost:22", "-D", str(socks), "-o", "ExitOnForwardFailure=yes")
    told = "ssh-add -l | cut -d' ' -f2; exec sed -u s/^/got:/"
    with clients.session(*forwards, "main.vertui", told) as process:
        assert process.stdout and process.stdout.readline().decode() == f"{agent}\n"
        assert banner(socket.create_connection(("127.0.0.1", local), SOON_S)).startswith(BANNER)
        assert banner(by_socks(socks)).startswith(BANNER)
        os.kill(client.status().pid, signal.SIGKILL)
        assert answered(process, b"no daemon") == b"got:no daemon"
        client.pause("main")
        client.resume("main")
        assert answered(process, b"paused") == b"got:paused"
        client.restore("main")
        assert process.wait(SOON_S) == 255


def test_all_arrives_of_many_at_once(clients: Clients, main: Guest, tmp_path: Path) -> None:
    """Both ways at once in each session, one of which is large."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)

    def echoed(number: int) -> bool:
        size = BULK_BYTES if number == 0 else dice.randrange(1 << 18)
        data = dice.randbytes(size)
        argv = [*clients.ssh, "main.vertui", "cat"]
        done = subprocess.run(
            argv, input=data, env=clients.environment, stdout=subprocess.PIPE, timeout=LONGEST_S, check=True
        )
        return hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert all(pool.map(echoed, range(AT_ONCE)))
