"""A machine's disk as QEMU's block nodes: a raw base, qcow2 layers over it, and the drive on the last of them.

A node is described whole, with all that lies below it: QEMU reads what it is told byte by byte, at some microseconds
each. What is described inside another node goes with that one; only the outermost is there until it is deleted.
Source: QEMU qapi/block-core.json (blockdev-add, blockdev-reopen).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import MachineFailed
from core.machine.arguments import DISK_NODE
from core.machine.protocol import Layer

LONGEST_ID = 29  # QEMU takes no name of more than 31 characters
Node = dict[str, Any]


def layer_name(layer: str) -> str:
    """The name of a layer's node."""
    return f"l-{layer}"


def base_name(base: str) -> str:
    """The name of a base's node."""
    return f"b-{base[:LONGEST_ID]}"


def base_node(base: Layer) -> Node:
    """A raw file to read."""
    return {
        "driver": "file",
        "node-name": base_name(base.id),
        "filename": str(base.path),
        "read-only": True,
    }


def layer_node(layer: Layer, below: Node | None) -> Node:
    """A layer over what lies below it. Durability is the seal's, so guest flushes need not reach the disk."""
    file = {
        "driver": "file",
        "node-name": _file_name(layer.id),
        "filename": str(layer.path),
        "cache": {"no-flush": True},
    }
    return {"driver": "qcow2", "node-name": layer_name(layer.id), "file": file, "backing": below}


def chain(base: Layer, layers: Sequence[Layer]) -> Node:
    """All layers over the base; the last one can be written."""
    node = base_node(base)
    for layer in layers:
        node = layer_node(layer, node)
    return node


def drive(layer: str) -> Node:
    """The options of the guest's drive when it lies on this layer."""
    return {"driver": "raw", "node-name": DISK_NODE, "file": layer_name(layer)}


def moved(layer: str, base: str, *, writable: bool) -> Node:
    """The options of a layer's node when it lies on this base."""
    return {
        "driver": "qcow2",
        "node-name": layer_name(layer),
        "file": _file_name(layer),
        "backing": base_name(base),
        "read-only": not writable,
    }


def chain_of(described: str) -> tuple[str, tuple[str, ...]]:
    """The ids of the base and of the layers, oldest first, in QEMU's `json:` description of a disk.

    The base is a view, COMMIT/disk. MachineFailed when it is none of ours.
    """
    found: list[str] = []
    try:
        node = json.loads(described.removeprefix("json:"))["file"]
        while node["driver"] == "qcow2":
            found.append(Path(node["file"]["filename"]).stem)
            node = node["backing"]
        base = Path(node["filename"]).parent.name
    except (ValueError, KeyError, TypeError) as error:
        raise MachineFailed("the machine's disk is not one that vertui gave it") from error
    return base, tuple(reversed(found))


def _file_name(layer: str) -> str:
    return f"f-{layer}"
