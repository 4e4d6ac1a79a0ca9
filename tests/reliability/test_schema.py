"""The daemon does what its OpenAPI document says, whatever it is asked: schemathesis makes the requests."""

import random
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from msgspec.structs import replace
from requests.adapters import HTTPAdapter
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.home import Home, find_home
from core.model import BranchState, CommitState
from core.patience import patient
from tests.conftest import full
from tests.leaks import Traces, host_traces
from tests.unit.engines import GOLDEN, HEAD, engine_of, put

NAMES = ("main", "b1", "b2", "@trunk", "main~1", "base", "good", "new", HEAD, GOLDEN[:12])
BUDGET_S = 180.0 if full() else 15.0  # each operation is asked for once at least, however long that takes
EXAMPLES = 5  # of an operation in a round
ANSWER_S = patient(30.0)
ENDLESS = "/v1/events"
TEXTS = (
    "message",
    "note",
    "command",
    "accelerator",
    "prefer",
    "key",
    "value",
    "plan",
)  # fields that name nothing
LEFT_OUT = {
    ENDLESS: "never ends: it has a test of its own",
    "/v1/stop": "ends the daemon, which is to live through this",
    "/v1/listen": "opens ports of this host",
    "/v1/image/build": "takes minutes and a network",
}
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


class _Connection(HTTPConnection):
    """To the daemon's socket, whatever the address says."""

    def __init__(self, path: Path) -> None:
        super().__init__("daemon")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ANSWER_S)
        self.sock.connect(str(self._path))


class _Pool(HTTPConnectionPool):
    def __init__(self, path: Path) -> None:
        super().__init__("daemon")
        self._path = path

    def _new_conn(self) -> _Connection:
        return _Connection(self._path)


class _Adapter(HTTPAdapter):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._pool = _Pool(path)

    def get_connection_with_tls_context(self, *given: object, **named: object) -> _Pool:
        return self._pool

    def close(self) -> None:
        self._pool.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home whose catalog has branches of an image, all of which are only rows, with a daemon; nothing of it may be
    left on the host.
    """
    root = tmp_path / "home"
    before = host_traces(root)
    monkeypatch.setenv("VERTUI_HOME", str(root))
    with engine_of(tmp_path) as engine:
        engine.catalog.put_commit(
            replace(engine.catalog.commit(HEAD), state=CommitState.SEALED, tags=("good",))
        )
        for name in ("main", "b1", "b2"):
            put(engine, name, BranchState.STOPPED, HEAD)
        engine.catalog.set_setting("trunk", "main")
    home = find_home(str(root))
    ensure_daemon(home)
    yield home
    end_all(home)
    shutil.rmtree(home.runtime, ignore_errors=True)
    assert host_traces(root) - before == Traces()


@pytest.fixture
def session(home: Home) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount("http://", _Adapter(home.daemon_socket))
        yield session


def operations(session: requests.Session) -> list[APIOperation[Any, Any, Any, Any]]:
    document = session.get("http://daemon/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url="http://daemon")
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert {operation.path for operation in found} > LEFT_OUT.keys()
    return [operation for operation in found if operation.path not in LEFT_OUT]


def test_every_answer_is_what_the_document_says(home: Home, session: requests.Session) -> None:
    first = random.randrange(1 << 30) if full() else 7
    print(f"seed {first}")
    client, began = Client(home, starts=False), time.monotonic()
    daemon, asked = client.status().pid, operations(session)
    held, number = 0, 0
    while number == 0 or time.monotonic() - began < BUDGET_S:
        for operation in asked:
            ask(session, operation, GenerationMode.POSITIVE, first + number)
            with suppress(Unsatisfiable):  # what takes nothing cannot be given anything wrong
                ask(session, operation, GenerationMode.NEGATIVE, first + number)
        held = held or descriptors(daemon)  # once everything was asked for
        number += 1
    assert client.status().pid == daemon
    assert descriptors(daemon) <= held + number, "descriptors are left open"


def ask(
    session: requests.Session, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, number: int
) -> None:
    """Some requests of an operation, each of which must be answered as it is said."""

    chosen = random.Random(number)

    @seed(number)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE:
            name_what_is_there(case, chosen)
        response = case.call(session=session, timeout=ANSWER_S)
        assert response.status_code != 500, f"{case.as_curl_command()}: {response.text}"
        case.validate_response(response, checks=CHECKS)

    run()


def name_what_is_there(case: Case[Any], chosen: random.Random) -> None:
    """Names that were made up lead nowhere, and a request id that was seen asks for nothing: let most requests name
    what the home has, and be new.
    """
    if chosen.random() < 0.9:
        case.headers.pop("Request-Id", None)
    parts: list[Any] = [case.body, case.query, case.path_parameters]
    for part in (part for part in parts if isinstance(part, dict)):
        for key, value in part.items():
            if isinstance(value, str) and key not in TEXTS and chosen.random() < 0.8:
                part[key] = chosen.choice(NAMES)
            if isinstance(value, list) and chosen.random() < 0.8:
                part[key] = chosen.sample(NAMES, chosen.randint(1, 2))


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_events_begin_at_once(session: requests.Session) -> None:
    with session.get(f"http://daemon{ENDLESS}", stream=True, timeout=ANSWER_S) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        assert next(response.iter_content(1)) == b"\n"
