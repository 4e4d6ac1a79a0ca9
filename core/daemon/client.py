"""The typed client: one method per verb, over HTTP by the daemon's socket or port, by the standard library alone.

Every state-changing request carries a request id, so that one sent again after a lost connection happens once.
Streams (exec, attach, console) are in `core.daemon.streams`.
"""

import contextlib
import http.client
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from core.codec import decode, decode_long, encode
from core.daemon.connection import IDLE, UNTIL_DEATH, DaemonConnection, Patience, failure
from core.daemon.endpoint import Endpoint, find_endpoint, no_answer, own
from core.daemon.lines import LineStream
from core.daemon.start import ensure_daemon, rejoin
from core.diff.result import Diff, DiffSize, FileDiff, SiblingRow, Siblings
from core.errors import DaemonUnavailable, UsageError, VertuiError
from core.holder.ask import Silent, ask_holder
from core.home import Home
from core.inward import GuestPort, SshHost
from core.journal.entry import JournalCheck, JournalEntry
from core.looking_back import Stride, Then
from core.model import (
    Command,
    DaemonStatus,
    Event,
    Finding,
    Imported,
    Operation,
    Plan,
    Process,
    Setting,
    TrashEntry,
    Tree,
    new_key,
)
from core.names import sendable
from core.naming import MemoryRoom
from core.patience import patient
from core.sites import Secret
from core.space import StoreProblem, StoreSpace
from core.tokens import Token
from core.verbs import load, names
from core.verbs.base import Kind, Planned, Verb, answer_of, fields_of, identifier, path_of

A = TypeVar("A")
T = TypeVar("T")
STOP_S = patient(60.0)  # it lets requests under way end for a second, and takes its pool down
AT_ONCE = Patience(deadline_s=patient(60.0))  # what only looks at what the daemon has at hand
GOES_ON = "the daemon goes on with it: `vertui log` tells how it ends"
MAYBE = "it may have been done all the same: `vertui log` tells"
PIECE_BYTES = 256 * 1024  # of a long answer, read at a time
LONGEST_QUERY = 512 * 1024


class Client:
    """What CLI and UI call. Methods block; each call uses a connection of its own, so threads may share a client.

    A daemon that is not there is started. With `starts=False` one that died is waited for, and one that somebody
    stopped stays stopped: DaemonStopped. One that takes its time is waited for as long as it lives; DaemonUnavailable
    says when it does not, and when it cannot be known whether what was asked was done.
    """

    def __init__(self, endpoint: Endpoint | None = None, *, starts: bool = True) -> None:
        self.endpoint = endpoint or find_endpoint()
        self._starts = starts

    @property
    def home(self) -> Home:
        """The daemon's home, for what needs its socket or files. UsageError where the daemon is reached by its port."""
        return own(self.endpoint)

    # -- reading ---------------------------------------------------------------------------------------------

    def tree(self) -> Tree:
        """Branches, commits, images and the trunk."""
        return _told(Tree, self._look("/v1/tree"))

    def log(self, limit: int = 50) -> list[Operation]:
        """The newest operations, newest first."""
        return self._list(Operation, f"/v1/log?limit={limit}")

    def ps(self, branch: str) -> list[Command]:
        """Commands started by exec in a branch, also those inherited by a fork."""
        return self._list(Command, f"/v1/branches/{quote(branch)}/commands")

    def processes(self, branch: str) -> list[Process]:
        """All processes in a branch's guest."""
        return self._list(Process, f"/v1/branches/{quote(branch)}/processes")

    def ports(self, branch: str) -> list[GuestPort]:
        """A branch's published ports, and those that a program in it listens on."""
        return [_told(GuestPort, port) for port in self._get(f"/v1/branches/{quote(branch)}/ports")]

    def room(self, ref: str) -> MemoryRoom:
        """What memory a child of this REF would take, and what there is."""
        return _told(MemoryRoom, self._get(f"/v1/room?{_query(ref=ref)}"))

    def turned(self, operation: int) -> list[str]:
        """What taking an operation back would do, or doing it again; a line each thing."""
        return [str(line) for line in self._get(f"/v1/turned?operation={operation}")]

    def then(self, stride: Stride, held: int, *, exact: bool) -> Then:
        """The tree one operation back from one that is held, or on, as a change of it. `held` is its moment; an `exact`
        one was told of so itself.
        """
        return _told(Then, self._get(f"/v1/then?{_query(stride=stride, held=held, exact=exact)}"))

    def then_at(self, operation: int, held: int, *, exact: bool) -> Then:
        """The same of the tree when an operation had ended."""
        return _told(Then, self._get(f"/v1/then/{operation}?{_query(held=held, exact=exact)}"))

    def trash(self) -> list[TrashEntry]:
        """What was pruned and can be restored."""
        return self._list(TrashEntry, "/v1/trash")

    def store_space(self) -> StoreSpace:
        """What the store and every commit in it take."""
        return _told(StoreSpace, self._get("/v1/store"))

    def check_store(self, read_data_percent: float = 0.0, key: str | None = None) -> list[StoreProblem]:
        """Everything in the store that is not as it was written; events of progress name the `key`."""
        path = f"/v1/store/check?read_data={read_data_percent}"
        found = json.loads(self._ask("GET", path, headers={"Request-Id": key or new_key()}))
        return [_told(StoreProblem, problem) for problem in found]

    def export(self, ref: str) -> Iterator[bytes]:
        """A commit as one self-contained file; a branch stands for its head."""
        return self._pieces(f"/v1/export?{_query(ref=ref)}")

    def settings(self) -> list[Setting]:
        """Every setting of the home."""
        return self._list(Setting, "/v1/settings")

    def secrets(self) -> list[Secret]:
        """The names of what `secret set` keeps; no value is ever told."""
        return self._list(Secret, "/v1/secrets")

    def tokens(self) -> list[Token]:
        """The tokens that let others in by the daemon's port; none is ever told."""
        return self._list(Token, "/v1/tokens")

    def doctor(self) -> list[Finding]:
        """What the daemon finds about this machine."""
        return self._list(Finding, "/v1/doctor")

    def status(self) -> DaemonStatus:
        """The daemon's own facts."""
        return _told(DaemonStatus, self._look("/v1/status"))

    def diff(self, a: str, b: str = "", key: str | None = None, **asked: Any) -> Diff:
        """What changed from REF a to REF b, or `x...y` for both. `asked`: path and ignore (lists), mtime, lines,
        processes, ports, connections, packages, memory, fallback (flags). Events of progress name the `key`."""
        headers = {"Request-Id": key} if key else None
        path = f"/v1/diff?{_query(a=a, b=b, **asked)}"
        return _told_long(Diff, self._ask("GET", path, headers=headers), "entries", FileDiff)

    def changes(self, a: str, b: str, **asked: Any) -> DiffSize:
        """How much differs from REF a to REF b on their disks. `asked`: path and ignore (lists), lines (a flag)."""
        return _told(DiffSize, self._get(f"/v1/changes?{_query(a=a, b=b, **asked)}"))

    def diff_siblings(self, refs: Sequence[str], **asked: Any) -> Siblings:
        """Which files differ among several REFs. `asked`: path and ignore (lists), mtime, base (a REF)."""
        path = f"/v1/siblings?{_query(ref=list(refs), **asked)}"
        return _told_long(Siblings, self._ask("GET", path), "rows", SiblingRow)

    def patch(self, a: str, b: str = "", **asked: Any) -> bytes:
        """The unified text diff from REF a to REF b. `asked`: path and ignore (lists), whole (for `git apply`)."""
        return b"".join(self.patch_pieces(a, b, **asked))

    def patch_pieces(self, a: str, b: str = "", **asked: Any) -> Iterator[bytes]:
        """The same as it comes."""
        return self._pieces(f"/v1/patch?{_query(a=a, b=b, **asked)}")

    def files(self, ref: str, path: str, attributes: bool = True) -> Iterator[bytes]:
        """The file or tree at an absolute path of a REF, as a tar stream."""
        return self._pieces(f"/v1/files?{_query(ref=ref, path=path, attributes=attributes)}")

    def console_text(self, branch: str) -> bytes:
        """The last 64 KiB the machine's console printed. Guest bytes: escape before showing."""
        return self._ask("GET", f"/v1/branches/{quote(branch)}/console")

    def events(self, *, figures: bool = True) -> "EventStream":
        """Events from now on: whatever happens after this call returns is among them. Without `figures` nobody asks
        guests what they do for this listener.
        """
        return EventStream(self.endpoint, figures=figures)

    def journal(self, branch: str, *, follow: bool = False, **asked: Any) -> LineStream[JournalEntry]:
        """Entries of a branch's journal, oldest first; with `follow` those that come as well, while the daemon lives.
        `asked`: first (a number) or count (of the newest), whole (long bodies, too).
        """
        path = f"/v1/journal?{_query(branch=branch, follow=follow, **asked)}"
        return LineStream(self.endpoint, path, JournalEntry, IDLE if follow else UNTIL_DEATH, endless=follow)

    def journal_grep(self, branch: str, text: str) -> LineStream[JournalEntry]:
        """The entries of a branch's journal that hold a text, as they are found."""
        path = f"/v1/journal/grep?{_query(branch=branch, text=text)}"
        return LineStream(self.endpoint, path, JournalEntry, UNTIL_DEATH)

    def journal_verify(self, branch: str = "") -> list[JournalCheck]:
        """What a look at every entry of a branch's journal finds, or of all branches'."""
        found = self._get(f"/v1/journal/verify?{_query(branch=branch)}")
        return [_told(JournalCheck, one) for one in found]

    # -- ways in ---------------------------------------------------------------------------------------------

    def dial(self, branch: str, port: int) -> socket.socket:
        """A connection to a TCP port of a branch's guest. It is the caller's: no daemon stands between its ends, and it
        goes on when the daemon ends.
        """
        asked = json.dumps({"branch": sendable(branch), "port": port}).encode()
        taken: list[int] = []
        connection = DaemonConnection(self.home, descriptors=taken)
        try:
            connection.request("POST", "/v1/dial", asked, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            if response.status >= 400 or not taken:
                raise failure(answer)
            return socket.socket(fileno=taken.pop())
        except (OSError, http.client.HTTPException) as error:
            raise DaemonUnavailable(no_answer(self.endpoint)) from error
        finally:
            connection.close()
            for descriptor in taken:
                os.close(descriptor)

    def ssh(self, branch: str) -> SshHost:
        """Let this home's ssh key log in to a branch, and have its host key in the home's `known_hosts`."""
        return _told(SshHost, self._post("/v1/ssh", {"branch": sendable(branch)}))

    # -- verbs -----------------------------------------------------------------------------------------------

    def do(self, verb: Verb[A], key: str | None = None) -> A:
        """Have a verb carried out, once; its answer. Of a KeyboardInterrupt, the notes say what becomes of the verb.
        Events of progress name the `key`.
        """
        answer: A = _told(answer_of(type(verb)), self._change(path_of(type(verb)), _request(verb), key))
        return answer

    def plan(self, verb: Planned[Any]) -> Plan:
        """What a verb would do, exactly; `execute` does it."""
        return _told(Plan, self._post(path_of(type(verb)).replace("/v1", "/v1/plan", 1), _request(verb)))

    def execute(self, plan: Plan, key: str | None = None) -> Operation:
        """Carry a plan out, once; Conflict when the state it was made for is gone."""
        return _told(Operation, self._change("/v1/execute", {"plan": plan.id}, key))

    def __getattr__(self, name: str) -> Any:
        """Every verb as a method: `client.fork("main", n=3)` does `Fork("main", n=3)`, `client.plan_prune(["b1"])`
        plans `Prune(["b1"])`, `client.trash_restore("b1")` does `trash restore`.
        """
        calls: tuple[tuple[Any, str], ...] = ((self.do, name), (self.plan, name.removeprefix("plan_")))
        for call, wanted in calls:
            verb = next((verb for verb in names() if identifier(verb) == wanted), None)
            if verb is not None:
                return lambda *given, call=call, verb=verb, **named: call(load(verb)(*given, **named))
        raise AttributeError(f"'{type(self).__name__}' has no attribute '{name}'")

    # -- changing, what is no verb ---------------------------------------------------------------------------

    def cancel_build(self) -> None:
        """Interrupt the image build that is going on; whoever waits for it gets Conflict."""
        self._post("/v1/cancel-build", {})

    def import_commit(self, file: Iterable[bytes], trust: bool = False) -> Imported:
        """Store a commit from an exported file's pieces; it does not start unless it is trusted."""
        headers = {"Content-Type": "application/octet-stream", "Request-Id": new_key()}
        return _told(
            Imported, json.loads(self._raw("POST", f"/v1/import?{_query(trust=trust)}", file, headers))
        )

    def rebuild(self, key: str | None = None) -> list[str]:
        """Make the store's index, and missing rows of the catalog, again; what was found."""
        return [str(line) for line in self._post("/v1/store/rebuild", {}, key)]

    def change_setting(self, key: str, value: str | None) -> Setting:
        """Give a setting a value, or with None its default again."""
        return _told(Setting, self._post("/v1/settings", {"key": key, "value": value}))

    def listen(self, address: str, port: int, *, in_the_clear: bool = False) -> str:
        """Have the daemon listen at a port, 0 for any, where only tokens let in; its URL. An address that others reach
        goes by what is `in_the_clear`.
        """
        asked = {"address": address, "port": port, "in_the_clear": in_the_clear}
        return str(self._post("/v1/listen", asked)["url"])

    def listen_no_more(self) -> None:
        """Have the daemon close its port, and hang up on whoever came by it."""
        self._post("/v1/listen/off", {})

    def suspend_all(self, now: bool = False, key: str | None = None) -> None:
        """End every machine, committed first so that `resume` brings it back; `now` leaves the commits out."""
        self._post("/v1/suspend-all", {"now": now}, key)

    def stop_daemon(self) -> None:
        """End the daemon and wait until it is gone; machines run on and the next verb starts it again."""
        home, daemon = self.home, self.status().pid
        self._raw("POST", "/v1/stop", b"{}")
        deadline = time.monotonic() + STOP_S
        while (ask_holder(home, "state") or {}).get("daemon") == daemon:
            if time.monotonic() > deadline:
                raise DaemonUnavailable(f"the daemon is told to end and has not after {STOP_S:.0f} s")
            time.sleep(0.02)

    # -- the wire --------------------------------------------------------------------------------------------

    def _get(self, path: str) -> Any:
        return json.loads(self._ask("GET", path))

    def _look(self, path: str) -> Any:
        """What must not take long."""
        return json.loads(self._ask("GET", path, patience=AT_ONCE))

    def _list(self, cls: type[T], path: str) -> list[T]:
        return [_told(cls, item) for item in self._look(path)]

    def _post(self, path: str, body: object, key: str | None = None) -> Any:
        headers = {"Content-Type": "application/json", "Request-Id": key or new_key()}
        return json.loads(self._ask("POST", path, json.dumps(body, ensure_ascii=False).encode(), headers))

    def _change(self, path: str, body: object, key: str | None = None) -> Any:
        """What the daemon goes on with when nobody waits for it any more."""
        try:
            return self._post(path, body, key)
        except KeyboardInterrupt as stopped:
            stopped.add_note(GOES_ON)
            raise

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        patience: Patience = UNTIL_DEATH,
    ) -> bytes:
        """An answer, also when the daemon dies meanwhile: its successor is asked again under the same request id."""
        try:
            return self._raw(method, path, body, headers, patience)
        except _Lost as lost:
            try:
                (ensure_daemon if self._starts else rejoin)(self.endpoint)
            except DaemonUnavailable as error:
                if not lost.heard:
                    raise
                raise type(error)(f"{error}; {MAYBE}") from error
            return self._raw(method, path, body, headers, patience)

    def _pieces(self, path: str) -> Iterator[bytes]:
        """A long answer as it comes. A refusal is raised at once, not with the first piece."""
        connection = DaemonConnection(self.endpoint)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            if response.status >= 400:
                raise failure(response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise DaemonUnavailable(no_answer(self.endpoint)) from error
        except VertuiError:
            connection.close()
            raise
        return _read(connection, response)

    def _raw(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        patience: Patience = UNTIL_DEATH,
    ) -> bytes:
        connection = DaemonConnection(self.endpoint, patience)
        try:
            with contextlib.suppress(
                BrokenPipeError, ConnectionResetError
            ):  # why it took no more may be said
                connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException, Silent) as error:
            heard = method == "POST" and connection.reached
            if isinstance(error, Silent):
                raise Silent(f"{error}; {MAYBE}" if heard else str(error)) from error
            raise _Lost(no_answer(self.endpoint), heard=heard) from error
        finally:
            connection.close()
        if response.status >= 400:
            raise failure(data)
        return data


class _Lost(DaemonUnavailable):
    """The connection ended without an answer. `heard`: a change was asked for, and may have happened."""

    def __init__(self, what: str, *, heard: bool) -> None:
        super().__init__(f"{what}; {MAYBE}" if heard else what)
        self.heard = heard


class EventStream(LineStream[Event]):
    """Events as they happen, until `close`; DaemonUnavailable when the daemon goes away."""

    def __init__(self, endpoint: Endpoint, *, figures: bool = True) -> None:
        super().__init__(endpoint, f"/v1/events?{_query(figures=figures)}", Event, IDLE, endless=True)


def _read(connection: DaemonConnection, response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while data := response.read(PIECE_BYTES):
            yield data
    except (OSError, http.client.HTTPException) as error:
        raise DaemonUnavailable("the daemon broke its answer off: `vertui daemon logs` says why") from error
    finally:
        response.close()
        connection.close()


def _told(cls: type[T], data: Any) -> T:
    """An answer's value."""
    with _readable():
        return decode(cls, data)


def _told_long(cls: type[T], data: bytes, many: str, item: type) -> T:
    """The value of an answer with very many of something."""
    with _readable():
        return decode_long(cls, data, many, item)


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise DaemonUnavailable(f"the daemon gave an answer that cannot be read: {error}") from error


def _request(verb: Verb[Any]) -> Any:
    """A verb as it is sent, with what this process brings to it: a variable of the environment gives what is not given,
    and a path may be of any bytes.
    """
    return encode(verb) | dict(_changed(verb)) | encode(verb.brought())


def _changed(verb: Verb[Any]) -> Iterator[tuple[str, Any]]:
    """Fields that are sent as another value."""
    for field in fields_of(type(verb)):
        value = getattr(verb, field.name)
        if field.given.env and value is None:
            yield field.name, os.environ.get(field.given.env) or None
        elif field.given.kind is Kind.PATH:
            yield field.name, _sent(value)


def _query(**fields: Any) -> str:
    """A query string; lists are repeated, flags are 1 or 0, and texts may be any a command line holds."""
    query = urlencode({key: _sent(value) for key, value in fields.items()}, doseq=True)
    if len(query) > LONGEST_QUERY:
        raise UsageError(
            f"what is asked takes {len(query)} bytes, {LONGEST_QUERY} are the most: name fewer paths"
        )
    return query


def _sent(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_sent(item) for item in value]
    return sendable(value) if isinstance(value, str) else int(value) if isinstance(value, bool) else value
