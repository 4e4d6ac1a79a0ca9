"""The home's key gets in, each branch is known by its own host key, and what ssh is told is what it understands."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from core.engine.recover import recover
from core.engine.ssh import admit, public_key
from core.errors import Conflict, Damaged, GuestFailed
from core.guest.client import AgentClient
from core.home import Home
from core.inward import SshHost
from tests.guests import SOON_S
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import served
from vertui.commands.ssh import settings_of

Ask = Callable[[str], Awaitable[SshHost]]


def on_twins(body: Callable[[Twins, Ask], Awaitable[None]]) -> None:
    async def run(twins: Twins) -> None:
        twins.begin()
        try:
            await twins.do("up")
            async with served(twins) as client:
                await body(twins, lambda branch: asyncio.to_thread(client.ssh, branch))
        finally:
            await twins.close()

    with twin_engine() as twins:
        asyncio.run(run(twins))


def known(home: Home) -> dict[str, str]:
    lines = home.known_hosts.read_text().rstrip("\n").split("\n")
    return {name: key for name, _, key in (line.partition(" ") for line in lines)}


def test_one_key_of_the_home_gets_in_and_each_branch_has_its_own() -> None:
    async def body(twins: Twins, ask: Ask) -> None:
        await twins.do("fork", "main", 2)
        hosts = [await ask(name) for name in ("main", "b1", "b2", "b1", "@trunk")]
        assert [host.name for host in hosts] == [
            "main.vertui", "b1.vertui", "b2.vertui", "b1.vertui", "main.vertui",
        ]  # fmt: skip
        assert len({host.key for host in hosts}) == 3 and hosts[1] == hosts[3] and hosts[0] == hosts[4]
        home = twins.engine.home
        assert known(home) == {host.name: host.key for host in hosts}
        for name in ("main", "b1", "b2"):
            assert twins.machine(name).guest.admitted == public_key(home)
        modes = [
            path.stat().st_mode & 0o777 for path in (home.ssh_key.parent, home.ssh_key, home.known_hosts)
        ]
        assert modes == [0o700, 0o600, 0o600]

    on_twins(body)


def test_a_branch_that_is_another_machine_is_known_by_that_ones_key() -> None:
    async def body(twins: Twins, ask: Ask) -> None:
        await twins.do("fork", "main", 2)
        before = {name: (await ask(name)).key for name in ("main", "b1", "b2")}
        await twins.do("restore", "main")
        await twins.do("rename", "b2", "other")
        await twins.do("prune", ("b1",))
        again = {name: (await ask(name)).key for name in ("main", "other")}
        assert again["main"] != before["main"] and again["other"] == before["b2"]
        assert known(twins.engine.home) == {f"{name}.vertui": key for name, key in again.items()}

    on_twins(body)


def test_who_ask_at_once_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And each guest is asked once for all of them."""
    asked, one = [], AgentClient.admit

    async def counted(agent: AgentClient, key: str) -> str:
        asked.append(key)
        return await one(agent, key)

    monkeypatch.setattr(AgentClient, "admit", counted)

    async def body(twins: Twins, ask: Ask) -> None:
        await twins.do("fork", "main", 8)
        names = [f"b{number}" for number in range(1, 9)]
        hosts = await asyncio.gather(*(admit(twins.engine, name) for name in names + names))
        assert known(twins.engine.home) == {host.name: host.key for host in hosts}
        assert len(asked) == len(names)

    on_twins(body)


@pytest.mark.parametrize(
    "key",
    ["", "ssh-rsa AAAA", f"ssh-ed25519 {'A' * 67}", f"ssh-ed25519 {'A' * 68}\n* ssh-ed25519 {'B' * 68}"],
)
def test_what_a_guest_tells_is_a_host_key_or_nothing(key: str) -> None:
    async def body(twins: Twins, ask: Ask) -> None:
        twins.machine("main").guest.host_key = key
        with pytest.raises(GuestFailed, match="what no agent sends"):
            await ask("main")
        assert not twins.engine.home.known_hosts.exists()

    on_twins(body)


def test_what_a_killed_daemon_left_half_written_goes_at_the_next_start() -> None:
    async def body(twins: Twins, ask: Ask) -> None:
        host, home = await ask("main"), twins.engine.home
        halves = [path.with_name(f".{path.name}.4711.tmp") for path in (home.ssh_key, home.known_hosts)]
        for half in halves:
            half.write_bytes(b"half")
        await recover(twins.engine, lambda _: None)
        assert not any(half.exists() for half in halves)
        assert home.known_hosts.read_text() == f"{host.name} {host.key}\n" and home.ssh_key.exists()

    on_twins(body)


def test_a_branch_that_is_paused_is_not_asked() -> None:
    async def body(twins: Twins, ask: Ask) -> None:
        await twins.do("pause", "main")
        with pytest.raises(Conflict, match="main is paused"):
            await ask("main")

    on_twins(body)


def test_a_key_that_is_none_is_not_replaced(home: Home) -> None:
    public_key(home)
    home.ssh_key.write_text("my own notes\n")
    with pytest.raises(Damaged, match="is no key of ours"):
        public_key(home)
    assert home.ssh_key.read_text() == "my own notes\n"


@pytest.mark.parametrize("folder", ["home", "a home", "100%d", "q'uote", 'dou"ble', "back\\slash"])
def test_ssh_reads_the_configuration_as_it_is_meant(folder: str, tmp_path: Path) -> None:
    """As `ssh -G` tells, whatever the home's path holds; a name of another kind is left alone."""
    home = Home(tmp_path / folder, tmp_path / "run")
    for path in (home.ssh_key, home.known_hosts):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    environment = os.environ | {"VERTUI_HOME": str(home.root)}
    argv = [sys.executable, "-m", "vertui", "ssh-config"]
    block = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
    (tmp_path / "config").write_text(block)
    told = read(tmp_path / "config", "b1.vertui")
    assert (told["user"], told["proxyusefdpass"], told["identitiesonly"]) == ("root", "yes", "yes")
    assert told["stricthostkeychecking"] in ("true", "yes")
    assert told["identityfile"].replace("%%", "%") == str(home.ssh_key)
    assert told["userknownhostsfile"].replace("%%", "%") == str(home.known_hosts)
    printed = f"printf '%s\\n' {told['proxycommand'].replace('%%', '%')}"
    words = subprocess.run(["sh", "-c", printed], capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    assert words[1] == f"VERTUI_HOME={home.root}" and words[-6:-1] == [
        "connect",
        "--ssh",
        "--pass",
        "%h",
        "%p",
    ]
    assert "proxycommand" not in read(tmp_path / "config", "b1.example")
    by_option = [word for name, value in settings_of(home) for word in ("-o", f"{name}={value}")]
    assert read(Path("none"), "b1.vertui", *by_option) == told


def read(config: Path, host: str, *options: str) -> dict[str, str]:
    argv = ["ssh", "-G", "-F", str(config), *options, host]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return {name: value for name, _, value in (line.partition(" ") for line in said.split("\n"))}


HELPER = [sys.executable, "-c", "import sys; from vertui.git_remote import main; sys.exit(main())"]


def test_git_is_told_what_its_helper_can_do() -> None:
    done = subprocess.run(
        [*HELPER, "b1", "b1:/srv/app"],
        input=b"capabilities\n\n",
        capture_output=True,
        timeout=SOON_S,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"connect\n\n", b"")


@pytest.mark.parametrize("url", ["b1", ":/srv/app", "b1:", "vertui://b1/srv/app", "-oProxyCommand=x:/y"])
def test_a_remote_that_names_no_branch_is_one_line(url: str) -> None:
    done = subprocess.run([*HELPER, "b1", url], capture_output=True, text=True, timeout=SOON_S, check=False)
    assert done.returncode == 2 and done.stderr.startswith("vertui: a remote is vertui::BRANCH:PATH")
    assert done.stderr.count("\n") == 1
