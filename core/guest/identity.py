"""What makes a forked machine distinct, made ahead on the host (DESIGN §7)."""

from __future__ import annotations

import secrets
import uuid
from binascii import b2a_base64, crc32
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SEED_BYTES = 64

CLOCK_TOLERANCE_NS = 5_000_000_000
"""How late a guest's clock may be read back: it is set at once, the answer may wait for a busy host."""


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

    def request(self, unix_time_ns: int) -> dict[str, Any]:
        """The fields of the agent's identity request."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return fields | {"seed": b2a_base64(self.seed, newline=False).decode(), "unix_time_ns": unix_time_ns}

    def differences(self, seen: dict[str, Any], unix_time_ns: int) -> list[str]:
        """Which values a guest does not read back as they were given; none when it took the identity on."""
        expected = {
            "hostname": self.hostname,
            "kernel_hostname": self.hostname,
            "machine_id": self.machine_id,
            "boot_id": self.boot_id,
            "ssh_host_key": crc32(self.ssh_host_key.encode()),
            "ssh_public_key": self.ssh_public_key,
            "generation": self.generation,
        }
        wrong = [name for name, value in expected.items() if seen.get(name) != value]
        clock = seen.get("unix_time_ns")
        if not isinstance(clock, int) or not 0 <= clock - unix_time_ns < CLOCK_TOLERANCE_NS:
            wrong.append("clock")
        return wrong


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
