"""The holder: owns namespaces, descriptors that must outlive a daemon, and every child process.

Single-threaded and small, so that it has no reason to die. One SEQPACKET message is one request, a JSON object with
`do`, descriptors beside it; one message answers it.

    spawn key argv log +fds   a child whose descriptors 3, 4, … are those sent; {"pid"}
    kill key                  SIGKILL to a child
    keep key +fd / get key / drop key      descriptors by name
    list                      {"children": {key: pid}, "kept": [key], "exits": {key: status}, "pid"}
    watch                     this connection is told {"exit": key, "status"} from now on
    daemon / rest             start the daemon now / do not start it again when it ends
    end                       end every child, then the holder

Children die with the holder (PR_SET_PDEATHSIG). Exits nobody watched are kept until `list` tells them.
"""

import array
import contextlib
import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from core import linux
from core.daemon import porter
from core.home import Home, find_home

LARGEST_MESSAGE = 128 * 1024
MOST_DESCRIPTORS = 16
RESTART_PAUSE_S = 0.5  # a daemon that dies at once is not started in a tight loop
DAEMON = "daemon"


class Holder:
    """State and main loop."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.children: dict[str, int] = {}
        self.kept: dict[str, int] = {}
        self.exits: dict[str, int] = {}
        self.watchers: set[socket.socket] = set()
        self.resting = False
        self.ending = False
        self.selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve until `end`."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.home.holder_socket.unlink(missing_ok=True)
        listener.bind(str(self.home.holder_socket))
        listener.listen(16)
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "ending", True))
        self.selector.register(listener, selectors.EVENT_READ)
        self.selector.register(wake_read, selectors.EVENT_READ)
        while not self.ending:
            for key, _ in self.selector.select():
                if key.fileobj is listener:
                    self.selector.register(listener.accept()[0], selectors.EVENT_READ)
                elif key.fileobj == wake_read:
                    os.read(wake_read, 4096)
                    self._reap()
                elif isinstance(key.fileobj, socket.socket):
                    self._serve(key.fileobj)
        self._end()

    def _serve(self, peer: socket.socket) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(peer, LARGEST_MESSAGE, MOST_DESCRIPTORS)
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._forget(peer)
            return
        answer, passed = self._answer(peer, data, descriptors)
        with contextlib.suppress(OSError):
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", passed))] if passed else []
            peer.sendmsg([json.dumps(answer).encode()], rights)

    def _answer(self, peer: socket.socket, data: bytes, fds: list[int]) -> tuple[dict[str, Any], list[int]]:
        try:
            request = json.loads(data)
            key = request.get("key", "")
            if request["do"] == "spawn":
                pid = self._spawn(key, request["argv"], request["log"], fds)
                return {"pid": pid}, []
            if request["do"] == "keep":
                self._drop(key)
                self.kept[key] = fds.pop()
                return {}, []
            if request["do"] == "get":
                return ({}, [self.kept[key]]) if key in self.kept else ({"absent": True}, [])
            return self._command(peer, request["do"], key), []
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            return {"error": f"{type(error).__name__}: {error}"}, []
        finally:
            for descriptor in fds:
                os.close(descriptor)

    def _command(self, peer: socket.socket, do: str, key: str) -> dict[str, Any]:
        if do == "kill" and key in self.children:
            os.kill(self.children[key], signal.SIGKILL)
        elif do == "drop":
            self._drop(key)
        elif do == "list":
            exits, self.exits = self.exits, {}
            return {"children": self.children, "kept": list(self.kept), "exits": exits, "pid": os.getpid()}
        elif do == "watch":
            self.watchers.add(peer)
        elif do == "daemon":
            self.resting = False
            self._start_daemon()
        elif do == "rest":
            self.resting = True
        elif do == "end":
            self.ending = True
        return {}

    def _spawn(self, key: str, argv: list[str], log: str, descriptors: list[int]) -> int:
        if key in self.children:
            raise ValueError(f"{key} runs already")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        output = os.open(log, flags, 0o600)
        pid = os.fork()
        if pid == 0:
            _become(argv, [os.open("/dev/null", os.O_RDONLY), output, output, *descriptors])
        os.close(output)
        self.children[key] = pid
        return pid

    def _start_daemon(self) -> None:
        if DAEMON not in self.children:
            argv = [sys.executable, "-m", "core.daemon.server", str(self.home.root)]
            self._spawn(DAEMON, argv, str(self.home.log / "daemon.log"), [])

    def _reap(self) -> None:
        for key, pid in list(self.children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self.children[key]
                self._report(key, os.waitstatus_to_exitcode(status))
        if DAEMON not in self.children and not self.resting and not self.ending:
            time.sleep(RESTART_PAUSE_S)
            self._start_daemon()

    def _report(self, key: str, status: int) -> None:
        if not self.watchers:
            self.exits[key] = status
        for peer in list(self.watchers):
            try:
                peer.send(json.dumps({"exit": key, "status": status}).encode(), socket.MSG_DONTWAIT)
            except OSError:
                self._forget(peer)

    def _forget(self, peer: socket.socket) -> None:
        self.selector.unregister(peer)
        self.watchers.discard(peer)
        peer.close()

    def _drop(self, key: str) -> None:
        if key in self.kept:
            os.close(self.kept.pop(key))

    def _end(self) -> None:
        self.home.holder_socket.unlink(missing_ok=True)
        for pid in self.children.values():
            os.kill(pid, signal.SIGKILL)
        for pid in self.children.values():
            os.waitpid(pid, 0)


def _become(argv: list[str], descriptors: list[int]) -> None:
    """In a fresh child: own session, the given descriptors as 0, 1, 2, 3 …, nothing else, then exec."""
    try:
        os.setsid()
        linux.die_with_parent(signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 64) for descriptor in descriptors]
        for number, descriptor in enumerate(high):
            os.dup2(descriptor, number)
        os.closerange(len(high), 4096)
        os.execvp(argv[0], argv)
    except BaseException as error:
        os.write(2, f"{argv[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def enter_namespaces() -> None:
    """A network and mount namespace of our own; when not root a user namespace that maps us to root, too."""
    uid, gid = os.getuid(), os.getgid()
    linux.unshare(linux.CLONE_NEWNET | linux.CLONE_NEWNS | (linux.CLONE_NEWUSER if uid else 0))
    if uid:
        for name, line in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path(f"/proc/self/{name}").write_text(line)


def main() -> None:
    """`python -m core.daemon.holder HOME`: serve; ends quietly when another holder serves this home."""
    home = find_home(sys.argv[1])
    home.make()
    lock = os.open(home.runtime / "holder.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    jobs = porter.start()
    enter_namespaces()
    holder = Holder(home)
    holder.kept[porter.KEY] = jobs.detach()
    holder.run()


if __name__ == "__main__":
    main()
