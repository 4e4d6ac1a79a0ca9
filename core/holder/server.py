"""The holder: owns namespaces, descriptors that must outlive a daemon, and every child process.

Single-threaded and small, so that it has no reason to die. One SEQPACKET message is one request, a JSON object with
`do`, descriptors beside it; one message answers it.

    spawn key argv log +fds   a child whose descriptors 3, 4, … are those sent; {"pid"}. With `nursery`, the name of a
                              child and of a kept socket to it, that forks it if it can; argv is for when it cannot.
                              With `confined`, the fields of a Confinement, it may do no more than a machine has to
    serve key argv log kept nursery   a child like that, its descriptors kept ones by name, and another whenever it
                              ends; {"pid"}, of the one that runs if one does
    kill key                  SIGKILL to a child
    keep key +fd / get key / drop key      descriptors by name
    list                      {"children": {key: pid}, "kept": [key], "exits": {key: status}, "pid"}
    watch                     this connection is told {"exit": key, "status"} from now on
    daemon / rest             start the daemon now / do not start it again when it ends
    state                     {"daemon": pid or null, "told", "beats", "resting", "gave_up", "log_from"}: what it
                              does, and where in its log its lines begin; one that dies thrice at once is given up
    leave                     end, unless there is a daemon or a machine: what did not come up is not left behind;
                              {"leaving": pid} if so
    end                       end every child, then the holder

Any of them may name the `request` it is part of: the log tells. Children die with the holder (PR_SET_PDEATHSIG). Exits
nobody was told of are kept until `list` tells them. A daemon that stands still is replaced (`core.holder.warden`), and
a socket that somebody removed is made again.
"""

import contextlib
import fcntl
import json
import logging
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from core import host, linux
from core.errors import Unsupported, VertuiError
from core.holder import porter
from core.holder.confine import Confinement, Confiner, decoded
from core.holder.limits import raise_limits
from core.holder.nursery import ask
from core.holder.outputs import Outputs
from core.holder.pulse import LOOK_S
from core.holder.services import PAUSE_S, Service, Services
from core.holder.spawn import null, spawn
from core.holder.warden import KEY as DAEMON
from core.holder.warden import Warden
from core.holder.wire import HolderAnswer
from core.home import Home, find_home
from core.log import REQUEST, log_as
from core.sockets import Listener, peer_of

LARGEST_MESSAGE = 128 * 1024
MOST_DESCRIPTORS = 16
BACKLOG = 128  # clients that start at once, beside a holder that has yet to begin
MOST_PEERS = 128  # connections: a client that opens more and more must not take every descriptor
WORK = ("machine:", "hot:")  # what children and descriptors are called that somebody would miss


logger = logging.getLogger("core.holder")


class Holder:
    """State and main loop."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.children: dict[str, int] = {}
        self.kept: dict[str, int] = {}
        self.exits: dict[str, int] = {}
        self.services = Services(self._serve_always)
        self.watchers: set[socket.socket] = set()
        self.confiner: Confiner | None = None
        self.ending = False
        self.looked = time.monotonic()
        self.selector = selectors.DefaultSelector()
        self.outputs = Outputs(self.selector)
        self.warden = Warden(home, self._spawn, self.selector)
        self.listener = Listener(home.holder_socket, socket.SOCK_SEQPACKET, BACKLOG)

    def run(self) -> None:
        """Serve until `end`."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "ending", True))
        self.selector.register(self.listener.socket, selectors.EVENT_READ)
        self.selector.register(wake_read, selectors.EVENT_READ)
        while not self.ending:
            for key, _ in self.selector.select(min(self.services.start_due(), self._look())):
                if key.fileobj is self.listener.socket:
                    self._accept()
                elif key.fileobj == wake_read:
                    os.read(wake_read, 4096)
                    self._reap()
                elif key.fileobj in self.outputs:
                    self.outputs.hear(key.fd)
                elif isinstance(key.fileobj, socket.socket):
                    self._serve(key.fileobj)
                else:
                    self.warden.hear()
        self._end()

    def _accept(self) -> None:
        """Take a client of our own user; what it is sent it has to read, or it is dropped."""
        try:
            peer = self.listener.socket.accept()[0]
        except OSError:  # no descriptor is left: there will be
            time.sleep(PAUSE_S)
            return
        if peer_of(peer).uid != os.getuid() or len(self.selector.get_map()) - len(self.outputs) > MOST_PEERS:
            peer.close()
            return
        peer.setblocking(False)
        self.selector.register(peer, selectors.EVENT_READ)

    def _look(self) -> float:
        """Look after what nobody tells of: the daemon's pulse, and our own socket; when to look again, in seconds."""
        left_s = self.looked + LOOK_S - time.monotonic()
        if left_s > 0:
            return left_s
        self.looked = time.monotonic()
        with contextlib.suppress(OSError, VertuiError):  # whatever stands in its way: machines run on
            self.warden.look()
        if self.listener.is_gone():
            with contextlib.suppress(OSError, VertuiError):
                self.selector.unregister(self.listener.socket)
                self.listener.renew()
                self.home.make_runtime()
            self.selector.register(self.listener.socket, selectors.EVENT_READ)
        return LOOK_S

    def _serve(self, peer: socket.socket) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(peer, LARGEST_MESSAGE, MOST_DESCRIPTORS)
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._forget(peer)
            return
        answer, passed = self._answer(peer, data, descriptors)
        try:
            socket.send_fds(peer, [json.dumps(answer).encode()], passed)
        except OSError:
            self._forget(peer)

    def _answer(self, peer: socket.socket, data: bytes, fds: list[int]) -> tuple[HolderAnswer, list[int]]:
        try:
            request = json.loads(data)
            if not isinstance(request, dict) or not isinstance(key := request.get("key", ""), str):
                raise ValueError("no JSON object with a key")
            REQUEST.set(str(request.get("request", "")))
            if request["do"] == "spawn":
                confined = decoded(request.get("confined"))
                nursery = "" if confined else request.get("nursery", "")
                return {"pid": self._spawn(key, request["argv"], request["log"], fds, nursery, confined)}, []
            if request["do"] == "serve":
                service = Service(request["argv"], request["log"], request["kept"], request["nursery"])
                return {"pid": self.services.add(key, service, self.children.get(key))}, []
            if request["do"] == "keep":
                self._drop(key)
                self.kept[key] = fds.pop()
                return {}, []
            if request["do"] == "get":
                return ({}, [self.kept[key]]) if key in self.kept else ({"absent": True}, [])
            return self._command(peer, request["do"], key), []
        except Exception as error:  # whatever a client of ours makes up, machines run on
            logger.warning("refused: %s: %s", type(error).__name__, error)
            return {"error": f"{type(error).__name__}: {error}"}, []
        finally:
            REQUEST.set("")
            for descriptor in fds:
                os.close(descriptor)

    def _command(self, peer: socket.socket, do: str, key: str) -> HolderAnswer:
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
            self.warden.ask()
        elif do == "rest":
            self.warden.resting = True
        elif do == "state":
            return self.warden.state()
        elif do == "leave" and self.warden.daemon is None:
            self.ending = not any(name.startswith(WORK) for name in (*self.children, *self.kept))
            return {"leaving": os.getpid()} if self.ending else {}
        elif do == "end":
            self.ending = True
        return {}

    def _spawn(
        self,
        key: str,
        argv: list[str],
        log: str,
        descriptors: Sequence[int],
        from_: str = "",
        confined: Confinement | None = None,
    ) -> int:
        if key in self.children:
            raise ValueError(f"{key} runs already")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        output = self.outputs.pipe_to(log) if confined else os.open(log, flags, 0o600)
        nothing = null()
        try:
            pid = self._forked(from_, [output, *descriptors])
            last = partial(self._confiner().confine, confined) if confined else None
            pid = pid or spawn(argv, [nothing, output, output, *descriptors], last)
        finally:
            os.close(output)
            os.close(nothing)
        self.children[key] = pid
        logger.info("%s runs, pid %d", key, pid)
        return pid

    def _confiner(self) -> Confiner:
        if self.confiner is None:
            raise ValueError("no process can be confined here")
        return self.confiner

    def _serve_always(self, key: str, service: Service) -> int:
        descriptors = [self.kept[name] for name in service.kept]
        return self._spawn(key, service.argv, service.log, descriptors, service.nursery)

    def _forked(self, nursery: str, descriptors: list[int]) -> int | None:
        if nursery not in self.kept:
            return None
        with socket.socket(fileno=os.dup(self.kept[nursery])) as asked:
            try:
                return ask(asked, descriptors)
            except TimeoutError:
                self._end_nursery(nursery)
                return None

    def _end_nursery(self, key: str) -> None:
        """End one that is too slow, and what it may have forked before it was: that is a child that nobody knows."""
        self._drop(key)
        if (pid := self.children.get(key)) is not None:
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        for stray in set(linux.children()) - set(self.children.values()):
            os.kill(stray, signal.SIGKILL)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                key = next((key for key, pid in self.children.items() if pid == ended[0]), None)
                if key is not None:
                    del self.children[key]
                    self._ended(key, os.waitstatus_to_exitcode(ended[1]))

    def _ended(self, key: str, status: int) -> None:
        """Account for a child that is no more."""
        logger.info("%s ended with %d", key, status)
        if key == DAEMON:
            self.warden.ended()
        self.services.ended(key, status)
        message, told = json.dumps({"exit": key, "status": status}).encode(), False
        for peer in list(self.watchers):
            try:
                peer.send(message, socket.MSG_DONTWAIT)
                told = True
            except OSError:
                self._forget(peer)
        if not told:
            self.exits[key] = status

    def _forget(self, peer: socket.socket) -> None:
        with contextlib.suppress(
            KeyError, ValueError
        ):  # forgotten already, while what it said was on its way here
            self.selector.unregister(peer)
        self.watchers.discard(peer)
        peer.close()

    def _drop(self, key: str) -> None:
        if key in self.kept:
            os.close(self.kept.pop(key))

    def _end(self) -> None:
        logger.info("ends, and %d children with it", len(self.children))
        for pid in self.children.values():
            os.kill(pid, signal.SIGKILL)
        for key in list(self.kept):
            self._drop(key)
        linux.unmount(self.home.views)  # who waits for a page could not end
        for pid in self.children.values():
            os.waitpid(pid, 0)
        shutil.rmtree(self.home.runtime, ignore_errors=True)


def enter_namespaces() -> int:
    """A network and mount namespace of our own; when not root a user namespace that maps us to root, too.

    A descriptor of another network namespace, in which there is nothing and nobody. Raises Unsupported.
    """
    uid, gid = os.getuid(), os.getgid()
    try:
        linux.unshare(linux.CLONE_NEWNET | linux.CLONE_NEWNS | (linux.CLONE_NEWUSER if uid else 0))
        if uid:
            for name, line in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                Path(f"/proc/self/{name}").write_text(line)
        nowhere = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        linux.unshare(linux.CLONE_NEWNET)
    except OSError as error:
        raise Unsupported(host.no_namespaces()) from error
    return nowhere


def _locked(home: Home) -> int:
    """Be the one holder of a home, wherever its sockets lie; BlockingIOError when another is. The lock to write into.

    The runtime directory is locked, too: what tidies up old files leaves it alone then (systemd's tmpfiles.d(5)).
    """
    locks = [home.runtime / "holder.lock", home.holder_lock]
    files = [os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600) for path in locks]
    for file in files:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(os.open(home.runtime, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.ftruncate(files[1], 0)
    return files[1]


def main() -> None:
    """`python -m core.holder.server HOME`: serve; ends quietly when another holder serves this home."""
    os.umask(0o077)
    home = find_home(sys.argv[1])
    log_as("holder")
    try:
        raise_limits()
        home.make()
        lock = _locked(home)
        holder = Holder(home)
    except BlockingIOError:
        return
    except (VertuiError, OSError) as error:
        logger.critical("%s", error)
        sys.exit(1)
    begun, begin = os.pipe2(os.O_CLOEXEC)
    if os.fork():
        os.close(begin)
        os._exit(0 if os.read(begun, 1) else 1)  # whoever started us goes on once we serve, or are no more
    os.close(begun)
    os.setsid()
    os.chdir(home.root)  # machines name their files from here; and nobody's directory is kept busy
    os.pwrite(lock, f"{os.getpid()}\n{home.runtime}\n".encode(), 0)
    holder.listener.socket.listen(BACKLOG)  # once more: whoever connects is told our pid, not our parent's
    try:
        holder.children[porter.KEY], jobs = porter.start()
        holder.kept[porter.KEY] = jobs.detach()
        holder.confiner = Confiner(enter_namespaces())
    except (VertuiError, OSError) as error:
        logger.critical("%s", error)
        sys.exit(1)
    linux.refuse_huge_pages()
    with contextlib.suppress(BrokenPipeError):  # whoever started us does not wait any more
        os.write(begin, b"1")
    os.close(begin)
    logger.info("serves, pid %d", os.getpid())
    holder.run()


if __name__ == "__main__":
    main()
