"""Who may log in to the branches of a home by ssh, and by which host key each branch is known.

A home has a key of its own, made when somebody first asks for ssh. The agent lets its owner in, and tells the host key
that the guest's sshd shows: by the machine's own channel, so that no network need be trusted. That key is the machine's
own since it woke (`core.guest.identity`) and stands in no catalog: it is asked for each time.
"""

import asyncio
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from core.engine.context import Engine
from core.engine.live import Live
from core.engine.own_key import own_key
from core.engine.wake import wake_named
from core.files import write_atomic
from core.home import Home
from core.inward import SshHost, host_of

_one_at_a_time = threading.Lock()  # of the threads that write


async def admit(engine: Engine, branch: str) -> SshHost:
    """Let this home's key in, and write down by which host key the branch is known to ssh from now on."""
    await wake_named(engine, branch, "ssh")
    name, live = engine.branch(branch).name, engine.awake(branch)
    live.used = time.monotonic()
    if live.admitting is None or live.admitting.done():
        live.admitting = asyncio.create_task(_let_in(engine, live))
        live.admitting.add_done_callback(
            lambda task: task.cancelled() or task.exception()
        )  # maybe nobody waits
    host = SshHost(host_of(name), await asyncio.shield(live.admitting))
    others = [host_of(row.name) for row in engine.catalog.branches()]
    await asyncio.to_thread(_write_down, engine.home.known_hosts, host, others)
    return host


async def _let_in(engine: Engine, live: Live) -> str:
    public = await asyncio.to_thread(public_key, engine.home)
    return await (await live.agent()).admit(public)


def public_key(home: Home) -> str:
    """The public half of the home's key, which is made if there is none. Damaged, NoRoom, VertuiError."""
    damaged = "no key of ours: remove it, and the next ssh makes another"
    key = own_key(home.ssh_key, _new_key, lambda told: load_ssh_private_key(told, None), damaged)
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def _write_down(path: Path, host: SshHost, others: Iterable[str]) -> None:
    """Have the host in the file, with this key alone, and those of the others that are there already."""
    with _one_at_a_time:
        try:
            before = path.read_text().split("\n") if path.exists() else []
        except (OSError, ValueError):  # it is made anew
            before = []
        kept = {*others} - {host.name}
        lines = [line for line in before if line.partition(" ")[0] in kept] + [f"{host.name} {host.key}"]
        if sorted(lines) != sorted(filter(None, before)):
            write_atomic(path, "".join(f"{line}\n" for line in lines).encode())
