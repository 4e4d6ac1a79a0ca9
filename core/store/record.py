"""A commit's one file: its manifest, and after it the device state and both tables.

magic (8) | BLAKE3 of the manifest (32) | its length (u32) | manifest (JSON) | sections in the order it names them
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import zstandard
from blake3 import blake3

from core.codec import decode, encode
from core.errors import Damaged, NotFound
from core.files import read_error
from core.store import tables
from core.store.columns import LARGEST_BYTES, Facts
from core.store.expand import expand
from core.store.values import Manifest

MAGIC = b"vertuicm"
HEADER_BYTES = 8 + 32 + 4
SUFFIX = ".commit"
DEVICES = "devices"
LARGEST_DEVICES = 1 << 26  # a machine of 16 processors has 1 MiB
LARGEST_HEAD = 1 << 28  # what others wrote is allowed far less


@dataclass(frozen=True)
class Record:
    """A manifest with its sections, as bytes."""

    manifest: Manifest
    sections: dict[str, bytes]

    def described(self) -> "Record":
        """The record whose manifest has the hashes of these sections."""
        hashes = {name: blake3(data).hexdigest() for name, data in self.sections.items()}
        return replace(self, manifest=replace(self.manifest, files=hashes))

    def encode(self) -> bytes:
        """The file's bytes."""
        lengths = {name: len(data) for name, data in self.sections.items()}
        head = json.dumps(encode(self.manifest) | {"lengths": lengths}, indent=1).encode()
        parts = [MAGIC, blake3(head).digest(), len(head).to_bytes(4, "little"), head]
        return b"".join(parts + list(self.sections.values()))

    def table(self, medium: str, most_bytes: int = LARGEST_BYTES) -> tables.Difference:
        """A medium's table as stored."""
        try:
            return tables.decode(self.section(medium), most_bytes)
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(
                f"the {medium} table of commit {self.manifest.id[:12]} cannot be read: {error}"
            ) from error

    def devices(self) -> bytes:
        """The device state."""
        try:
            return expand(self.section(DEVICES), LARGEST_DEVICES)
        except ValueError as error:
            raise Damaged(f"the devices of commit {self.manifest.id[:12]} cannot be read: {error}") from error

    def section(self, name: str) -> bytes:
        """A section's bytes, when they have the hash that was written."""
        data = self.sections[name]
        if blake3(data).hexdigest() != self.manifest.files.get(name):
            raise Damaged(
                f"the {name} of commit {self.manifest.id[:12]} are not what was written: prune that commit"
            )
        return data


def pack_devices(devices: bytes) -> bytes:
    """The device state as a section."""
    return zstandard.ZstdCompressor(level=3).compress(devices)


def read_record(path: Path) -> Record:
    """A record; its manifest is verified, its sections when they are asked for."""
    name = path.name.removesuffix(SUFFIX)[:12]
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"commit {name} is not in the store") from error
    except OSError as error:
        raise read_error(error, f"the record of commit {name}") from error
    return parse_record(data, name)


def parse_record(data: bytes | memoryview, name: str) -> Record:
    """A record out of its bytes."""
    try:
        facts, at = facts_of(data)
        manifest, sections = decode(Manifest, facts), {}
        for section, length in facts["lengths"].items():
            sections[section] = bytes(data[at : at + length])
            at += length
        if at != len(data):
            raise ValueError("it has the wrong length")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Damaged(f"the manifest of commit {name} cannot be read: {error}; prune that commit") from error
    return Record(manifest, sections)


def facts_of(data: bytes | memoryview, most_bytes: int = LARGEST_HEAD) -> tuple[Facts, int]:
    """What a record's head says, and where that ends. ValueError when it is not what was written."""
    end = HEADER_BYTES + int.from_bytes(data[40:HEADER_BYTES], "little")
    if end > HEADER_BYTES + most_bytes:
        raise ValueError("it is larger than any")
    head = bytes(data[HEADER_BYTES:end])
    if data[:8] != MAGIC or blake3(head).digest() != data[8:40]:
        raise ValueError("it is not what was written")
    try:
        facts = json.loads(head)
    except RecursionError as error:
        raise ValueError("it is no manifest") from error
    return facts, end


def record_name(commit: str) -> str:
    """A record's file name."""
    return f"{commit}{SUFFIX}"
