"""What makes a forked machine distinct, made ahead on the host."""

from __future__ import annotations

import secrets
import uuid
from binascii import b2a_base64, crc32
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from core.guest.answers import ReadBack
from core.guest.connection import Fields

SEED_BYTES = 64

CLOCK_SLACK_NS = 50_000_000
"""By how much a guest's clock may run ahead of what passed here: its second is not exactly ours."""

UNDER_A_NAME = frozenset(("hostname", "machine_id", "boot_id", "ssh_host_key", "ssh_public_key"))
"""What a guest reads from files. One that has such a file no longer shows nobody's identity there: None."""


@dataclass(frozen=True)
class Identity:
    """Who a machine is. `generation` changes with every fork; keys are in OpenSSH's text forms."""

    hostname: str
    machine_id: str
    boot_id: str
    ssh_host_key: str
    ssh_public_key: str
    seed: bytes
    generation: str

    def request(self, unix_time_ns: int) -> Fields:
        """The fields of the agent's identity request."""
        fields: Fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return fields | {"seed": b2a_base64(self.seed, newline=False).decode(), "unix_time_ns": unix_time_ns}

    def differences(self, seen: ReadBack, unix_time_ns: int, took_ns: int) -> list[str]:
        """Which values a guest does not read back as they were given; none when it took the identity on.

        `unix_time_ns` is the time it was told, `took_ns` how long its answer took.
        """
        expected = {
            "hostname": self.hostname,
            "kernel_hostname": self.hostname,
            "machine_id": self.machine_id,
            "boot_id": self.boot_id,
            "ssh_host_key": crc32(self.ssh_host_key.encode()),
            "ssh_public_key": self.ssh_public_key,
            "generation": self.generation,
        }
        absent = {name for name in UNDER_A_NAME if getattr(seen, name) is None}
        wrong = [name for name in expected if name not in absent and getattr(seen, name) != expected[name]]
        if seen.unix_time_ns is None:
            return [*wrong, "clock"]
        right = 0 <= seen.unix_time_ns - seen.distance_ns - unix_time_ns <= took_ns + CLOCK_SLACK_NS
        return wrong if right else [*wrong, "clock"]


def make_identity(hostname: str) -> Identity:
    """A new identity nobody else has."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return Identity(
        hostname=hostname,
        machine_id=uuid.uuid4().hex,
        boot_id=str(uuid.uuid4()),
        ssh_host_key=private.strip(),
        ssh_public_key=f"{public} root@{hostname}",
        seed=secrets.token_bytes(SEED_BYTES),
        generation=uuid.uuid4().hex,
    )
