"""Commits as plain files: one directory each, written beside its place and renamed into it.

commits/ID/manifest.json   what it consists of, with the hash of every file
commits/ID/memory.zst      page numbers (uint32, little-endian), then their contents
commits/ID/devices.zst     QEMU's device state
layers/LAYER.qcow2         shared by the commits whose disk contains it
"""

import json
import shutil
from pathlib import Path

import numpy as np
import zstandard
from blake3 import blake3

from core.daemon.codec import decode, encode
from core.errors import Damaged, NotFound
from core.machine.memory import Pages, Table
from core.model import PAGE_BYTES
from core.store.files import disk_error, sync_directory, sync_file
from core.store.protocol import Captured, Identified, Manifest

FORMAT = 1
LEVEL = 1  # 20 MB of pages compress in 50 ms; level 3 saves 8 % and takes twice that


class PlainStore:
    """`PageStore` over two directories."""

    def __init__(self, commits: Path, layers: Path) -> None:
        self._commits = commits
        self._layers = layers
        self._hashes: dict[str, str] = {}  # of layers, which never change once in a commit
        for leftover in commits.glob(".*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)

    def layer_path(self, layer: str) -> Path:
        """Where a disk layer lies, also one that a machine still writes."""
        return self._layers / f"{layer}.qcow2"

    def identify(self, captured: Captured, parents: tuple[str, ...]) -> Identified:
        """The ids a state has as a child of `parents`."""
        for layer in captured.layers:
            self._hashes[layer] = self._hashes.get(layer) or self._layer_hash(layer)
        layers = tuple((layer, self._hashes[layer]) for layer in captured.layers)
        state_id = _state_id(captured, layers)
        return Identified(commit_id(state_id, parents), state_id, parents, layers)

    def put(self, captured: Captured, identified: Identified) -> tuple[Manifest, int]:
        """Store a state durably; its manifest, and the bytes added. On failure nothing is left."""
        compressor = zstandard.ZstdCompressor(level=LEVEL)
        files = {
            "memory.zst": compressor.compress(
                captured.pages.astype("<u4").tobytes() + captured.table.tobytes()
            ),
            "devices.zst": compressor.compress(captured.devices),
        }
        manifest = Manifest(
            FORMAT, identified.id, identified.state_id, identified.parents, captured.image, captured.base,
            captured.spec, len(captured.pages), captured.quiesced, identified.layers,
            {name: blake3(data).hexdigest() for name, data in files.items()},
        )  # fmt: skip
        files["manifest.json"] = json.dumps(encode(manifest), indent=1).encode()
        self._write(identified.id, files, captured.layers[-1:])
        return manifest, sum(len(data) for data in files.values()) + self._own_layer_bytes(captured)

    def manifest(self, commit: str) -> Manifest:
        """The manifest of a stored commit."""
        path = self._commits / commit / "manifest.json"
        try:
            return decode(Manifest, json.loads(path.read_bytes()))
        except FileNotFoundError as error:
            raise NotFound(f"commit {commit[:12]} is not in the store") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Damaged(
                f"the manifest of commit {commit[:12]} cannot be read: prune that commit"
            ) from error

    def memory(self, commit: str) -> tuple[Pages, Table]:
        """The pages over the base, verified."""
        count = self.manifest(commit).page_count
        data = self._read(commit, "memory.zst")
        if len(data) != count * (PAGE_BYTES + 4):
            raise Damaged(f"the memory of commit {commit[:12]} has the wrong length: prune that commit")
        pages = np.frombuffer(data, "<u4", count)
        return pages, np.frombuffer(data, np.uint8, offset=count * 4).reshape(-1, PAGE_BYTES)

    def devices(self, commit: str) -> bytes:
        """The device state, verified."""
        return self._read(commit, "devices.zst")

    def disk(self, commit: str) -> tuple[str, ...]:
        """The disk's layer ids, oldest first, each verified against its hash."""
        layers = self.manifest(commit).layers
        for layer, digest in layers:
            if self._layer_hash(layer) != digest:
                raise Damaged(
                    f"disk layer {layer} of commit {commit[:12]} is not what was written: prune that commit"
                )
        return tuple(layer for layer, _ in layers)

    def size_bytes(self, commit: str) -> int:
        """What the commit's own files take on disk, layers not counted."""
        return sum(path.stat().st_size for path in (self._commits / commit).glob("*"))

    def delete(self, commit: str) -> None:
        """Remove a commit's own files; idempotent. Layers go by `collect`."""
        shutil.rmtree(self._commits / commit, ignore_errors=True)

    def collect(self, keep: frozenset[str]) -> int:
        """Remove every layer not in `keep`; bytes freed."""
        freed = 0
        for path in self._layers.glob("*.qcow2"):
            if path.stem not in keep:
                freed += path.stat().st_blocks * 512
                path.unlink(missing_ok=True)
        return freed

    def _write(self, commit: str, files: dict[str, bytes], own_layer: tuple[str, ...]) -> None:
        temporary = self._commits / f".{commit}.tmp"
        try:
            for layer in own_layer:
                sync_file(self.layer_path(layer))
            sync_directory(self._layers)
            temporary.mkdir(mode=0o700)
            for name, data in files.items():
                (temporary / name).write_bytes(data)
                sync_file(temporary / name)
            sync_directory(temporary)
            if not (self._commits / commit).exists():
                temporary.rename(self._commits / commit)
            sync_directory(self._commits)
        except OSError as error:
            raise disk_error(error, self._commits / commit) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _read(self, commit: str, name: str) -> bytes:
        """A file of a commit, decompressed, when its hash is the manifest's."""
        manifest = self.manifest(commit)
        try:
            data = (self._commits / commit / name).read_bytes()
        except OSError as error:
            raise Damaged(f"{name} of commit {commit[:12]} cannot be read: {error.strerror}") from error
        if blake3(data).hexdigest() != manifest.files.get(name):
            raise Damaged(f"{name} of commit {commit[:12]} is not what was written: prune that commit")
        return zstandard.ZstdDecompressor().decompress(data)

    def _layer_hash(self, layer: str) -> str:
        try:
            return blake3(self.layer_path(layer).read_bytes()).hexdigest()
        except OSError as error:
            raise Damaged(f"disk layer {layer} cannot be read: {error.strerror}") from error

    def _own_layer_bytes(self, captured: Captured) -> int:
        return sum(self.layer_path(layer).stat().st_blocks * 512 for layer in captured.layers[-1:])


def commit_id(state_id: str, parents: tuple[str, ...]) -> str:
    """A commit's id: the hash of its state and its parents, so that the graph cannot have a cycle."""
    return blake3("\n".join((state_id, *parents)).encode()).hexdigest(length=20)


def _state_id(captured: Captured, layers: tuple[tuple[str, str], ...]) -> str:
    """The hash of spec, device state, memory over its base, and disk content in layers."""
    hasher = blake3(json.dumps([encode(captured.spec), captured.image, captured.base]).encode())
    hasher.update(blake3(captured.devices).digest())
    hasher.update(blake3(captured.pages.tobytes()).digest())
    hasher.update(blake3(captured.table.tobytes()).digest())
    for _, digest in layers:
        hasher.update(bytes.fromhex(digest))
    return hasher.hexdigest(length=20)
