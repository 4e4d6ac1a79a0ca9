"""In L1: the main job on machines that KVM runs, by one process, since a process start takes seconds here.

Prints one line a step, "ok" or "FAILED" first, and closes with a line of both counts. Guests count by bash alone.
"""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.holder.held import HolderLine
from core.home import find_home
from core.model import BranchState
from core.store.views.keeper import KEY as VIEWS
from tests.guests import Guest

COUNT = "n=0; while :; do n=$((n+1)); echo $n > /dev/shm/n.new; mv /dev/shm/n.new /dev/shm/n; read -t 0.5 <> <(:); done"
PORT = 7000
SERVE = (
    f"import socket; s = socket.create_server(('0.0.0.0', {PORT})); print('up', flush=True); "
    "c, _ = s.accept(); c.sendall(c.recv(100).upper())"
)
CLOCK_BEHIND_S = 1.0  # an exec alone takes longer than a real host's whole verb


class Job:
    """One home, the branches of the main job, and what has been seen of them."""

    def __init__(self) -> None:
        self.home = find_home()
        self.client = Client(self.home)
        self.main = Guest(self.client, "main")
        self.first = ""

    def arithmetic(self) -> None:
        """numpy's argsort is right: tcg computes AVX2 wrong, and a wrong sort damages commits silently."""
        random = np.random.default_rng(7)
        for dtype in (np.uint8, np.uint32, np.int64, np.uint64, np.float64):
            for size in (10, 1000, 100_000):
                values = (random.random(size) * 250).astype(dtype)
                order = np.argsort(values, kind="stable").tolist()
                assert order == sorted(range(size), key=values.tolist().__getitem__), (dtype, size)
                assert np.sort(values).tolist() == sorted(values.tolist()), (dtype, size)

    def kvm(self) -> None:
        """The kernel has KVM."""
        os.close(os.open("/dev/kvm", os.O_RDWR))

    def image(self) -> None:
        """An image boots on KVM, with two vCPUs, and has its golden commit."""
        self.home.make()
        for base in Path("/opt/vertui/cache").iterdir():
            base.rename(self.home.cache / base.name)
        ensure_daemon(self.home)
        for key in ("pool.machines", "pool.spares", "handover.bytes", "policy.default"):
            self.client.change_setting(key, "0")
        made = self.client.image_build("base", vcpus=2)
        assert made.spec.accelerator == "kvm", made.spec
        assert not [one for one in self.client.doctor() if one.name == "accelerator" and not one.ok]

    def up(self) -> None:
        """A machine runs on KVM's own clock and a second vCPU."""
        self.client.up(None, "main", "none")
        clock = self.main.text("cat /sys/devices/system/clocksource/clocksource0/current_clocksource")
        assert clock == "kvm-clock", clock
        assert self.main.text("nproc") == "2"
        self.main.start(f"exec bash -c '{COUNT}'")
        self.main.text("echo work > /root/work; mkdir /root/d")
        self.clock("main")

    def packet(self) -> None:
        """A packet of the guest reaches a server in its branch's namespace, and the answer the guest."""
        [branch] = self.client.tree().branches
        assert branch.namespace
        enter = ["nsenter", f"--net=/proc/{self.client.status().pid}/fd/{self.namespace(branch.namespace)}"]
        server = subprocess.Popen([*enter, sys.executable, "-c", SERVE], stdout=subprocess.PIPE)
        try:
            assert server.stdout and server.stdout.readline() == b"up\n"
            talk = f"exec 3<>/dev/tcp/10.0.2.2/{PORT}; echo hello >&3; cat <&3"
            assert self.main.text(f"bash -c '{talk}'") == "HELLO"
        finally:
            server.kill()
            server.wait()

    def namespace(self, name: str) -> str:
        """The daemon's descriptor of a network namespace."""
        for link in Path(f"/proc/{self.client.status().pid}/fd").iterdir():
            if name in str(link.readlink()):
                return link.name
        raise AssertionError(f"the daemon holds no namespace {name}")

    def commit(self) -> None:
        """Commits are sealed, quiesced, and the machine counts on."""
        made = self.client.commit("main", "first").commit
        assert made.quiesced and made.state == "sealed"
        self.first = made.id
        self.counts_on("main")

    def fork(self) -> None:
        """Two children are distinct, count on from where the parent was, and so does the parent."""
        before = self.count("main")
        children = [child.name for child in self.client.fork("main", 2).children]
        assert children == ["b1", "b2"]
        for name in children:
            assert self.count(name) >= before
            self.counts_on(name)
            self.clock(name)
        self.counts_on("main")
        self.distinct("main", "b1", "b2")

    def cold_fork(self) -> None:
        """A stored commit starts from disk, lazily, and goes on from where it was."""
        self.client.stop_daemon()
        ensure_daemon(self.home)
        [child] = self.client.fork(self.first, 1, prefix="cold").children
        self.counts_on(child.name)
        self.clock(child.name)
        self.distinct("main", "b1", child.name)

    def view_server(self) -> None:
        """The view server dies by SIGKILL while a machine reads through it: a successor answers, nothing is wrong."""
        name = next(branch.name for branch in self.client.tree().branches if branch.name.startswith("cold"))
        hashed = "cat /usr/bin/* 2> /dev/null | md5sum"
        expected = self.main.text(hashed)
        server = self.view_server_pid()
        guest = self.main.other(name)
        command = guest.start(hashed)
        os.kill(server, signal.SIGKILL)
        assert guest.attach(command).text == expected
        assert self.view_server_pid() != server

    def view_server_pid(self) -> int:
        """The process that serves the views."""
        held = HolderLine(self.home)
        try:
            return held.holdings().children[VIEWS]
        finally:
            held.close()

    def diff(self) -> None:
        """The files that differ, and no others."""
        self.main.other("b1").text("echo better > /root/work; echo new > /root/d/new")
        told = self.client.diff("main", "b1")
        paths = {entry.path for entry in told.entries if entry.path.startswith("/root")}
        assert paths == {"/root/work", "/root/d/new"}, paths

    def promote(self) -> None:
        """The winner is the trunk; undo takes it back."""
        self.client.execute(self.client.plan_promote("b1"))
        assert [branch.name for branch in self.client.tree().branches if branch.trunk] == ["b1"]
        self.client.undo()
        assert [branch.name for branch in self.client.tree().branches if branch.trunk] == ["main"]

    def hand_over(self) -> None:
        """A machine goes on in another process."""
        before = self.pid("main")
        self.client.hand_over("main")
        assert self.pid("main") != before
        self.counts_on("main")

    def pause(self) -> None:
        """A paused machine stands still, then goes on with the right time."""
        self.client.pause("main")
        time.sleep(20)
        self.client.resume("main")
        self.counts_on("main")
        self.clock("main")

    def restore(self) -> None:
        """A branch goes back in place to an earlier commit."""
        self.main.text("echo spoilt > /root/work")
        self.client.restore("main", self.first)
        assert self.main.text("cat /root/work") == "work"
        self.counts_on("main")

    def prune(self) -> None:
        """A pruned branch is gone; undo brings it back."""
        self.client.execute(self.client.plan_prune(["b2"]))
        assert "b2" not in {branch.name for branch in self.client.tree().branches}
        self.client.undo()
        assert "b2" in {branch.name for branch in self.client.tree().branches}

    def suspend(self) -> None:
        """All end, committed; `resume` brings one back as it was."""
        before = self.count("main")
        self.client.suspend_all()
        end_all(self.home)
        ensure_daemon(self.home)
        states = {branch.name: branch.state for branch in self.client.tree().branches}
        assert set(states.values()) == {BranchState.SUSPENDED}, states
        self.client.resume("main")
        assert self.count("main") >= before
        self.counts_on("main")
        self.clock("main")

    def store(self) -> None:
        """Every page of the store reads as it was written."""
        assert self.client.check_store(100.0) == []

    def end(self) -> None:
        """Nothing of the home is left."""
        self.client.suspend_all(now=True)
        end_all(self.home)
        commands = [_command(path) for path in Path("/proc").glob("[0-9]*") if path.name != str(os.getpid())]
        assert not [command for command in commands if b"qemu" in command or b"core." in command], commands

    def count(self, name: str) -> int:
        """How far a branch's counter has come."""
        return int(self.main.other(name).text("read n < /dev/shm/n; echo $n"))

    def counts_on(self, name: str) -> None:
        """Wait until a branch's counter has moved."""
        seen = self.count(name)
        self.main.other(name).text(
            f"bash -c 'n=0; until [ $n -gt {seen} ]; do read n < /dev/shm/n; read -t 0.5 <> <(:); done; :'"
        )

    def clock(self, name: str) -> None:
        """A branch's clock is the host's: it was read between our two looks."""
        before = time.time()
        told = float(self.main.other(name).text("bash -c 'echo $EPOCHREALTIME'"))
        assert before - CLOCK_BEHIND_S <= told <= time.time(), (before, told, time.time())

    def distinct(self, *names: str) -> None:
        """No two of these branches have a name, key, id or random number in common."""
        asked = (
            "hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id ; "
            "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub; od -An -tx8 -N16 /dev/urandom"
        )
        told = [self.main.other(name).text(asked).splitlines() for name in names]
        for values in zip(*told, strict=True):
            assert len(set(values)) == len(names), values
        assert [lines[0] for lines in told] == list(names)

    def pid(self, name: str) -> int | None:
        """The process of a branch's machine."""
        return next(branch.pid for branch in self.client.tree().branches if branch.name == name)


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def main() -> None:
    """Every step in turn; those after a failed one are tried all the same."""
    job = Job()
    steps: list[Callable[[], None]] = [
        job.arithmetic, job.kvm, job.image, job.up, job.packet, job.commit, job.fork, job.cold_fork, job.view_server,
        job.diff, job.promote, job.hand_over, job.pause, job.restore, job.prune, job.suspend, job.store, job.end,
    ]  # fmt: skip
    passed = 0
    for step in steps:
        began = time.monotonic()
        try:
            step()
            word, passed = "ok", passed + 1
        except Exception:
            traceback.print_exc()
            word = "FAILED"
            for log in sorted(job.home.log.glob("*.log")):
                print(f"{log.name}:", *log.read_text(errors="replace").splitlines()[-30:], sep="\n  ")
        told = " ".join((step.__doc__ or "").split())
        print(f"test-kvm: {word} {step.__name__} {time.monotonic() - began:.0f} s: {told}", flush=True)
        if word == "FAILED" and step in (job.arithmetic, job.kvm, job.image):
            break
    print(f"test-kvm: {passed} passed, {len(steps) - passed} failed", flush=True)


if __name__ == "__main__":
    main()
