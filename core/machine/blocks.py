"""A machine's disk as QEMU's block nodes: a raw base, qcow2 layers over it, and the drive on the last of them.

QEMU reads its commands byte by byte, at some microseconds each, so they are kept short. From its start a machine has
the layer it writes. All that lies below is described in one command. A file is a set of descriptors (`passed`). QEMU
deletes a node that was described inside another together with that one, so only the outermost node has to be deleted.
It locks no file: each has one writer at most, and to see whether it could it opens /dev/null for writing, which its
confinement refuses once it is started.
Source: QEMU qapi/block-core.json (blockdev-add, blockdev-snapshot, blockdev-reopen).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import MachineFailed
from core.machine.protocol import Layer

DRIVE = "disk"
BASE_DIGITS = 16  # of a base's id in its node's name: QEMU takes no name of more than 31 characters
Node = dict[str, Any]


def layer_name(layer: str) -> str:
    """The name of a layer's node."""
    return f"l-{layer}"


def base_name(base: str) -> str:
    """The name of a base's node."""
    return f"b-{base[:BASE_DIGITS]}"


def written(layer: Layer) -> Node:
    """A layer to write, over nothing yet. Durability is the seal's, so guest flushes need not reach the disk. No other
    machine ever writes it, and a lock would outlast its freezing: it stays while any copy of the descriptor does.
    """
    node = _layer(layer, None)
    node["file"] |= {"cache": {"no-flush": True}}
    return node


def frozen(base: Layer, layers: Sequence[Layer]) -> Node:
    """A raw file and the layers over it, if any. All are only read: QEMU opens what is described inside a node as it
    opens that node.
    """
    node: Node = _file(base_name(base.id), base)
    for layer in layers:
        node = _layer(layer, node)
    return node | {"read-only": True}


def drive(layer: Layer) -> Node:
    """The guest's drive, on the layer it writes first."""
    return {"driver": "raw", "node-name": DRIVE, "file": layer_name(layer.id)}


def moved(layer: str, below: str, *, frozen: bool = False) -> Node:
    """The options of a layer's node when it lies on the node of this name."""
    file = _file_name(layer)
    node = {"driver": "qcow2", "node-name": layer_name(layer), "file": file, "backing": below}
    return node | {"read-only": True} if frozen else node


def chain_of(described: str, ids: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The ids of the base and of the layers, oldest first, in QEMU's `json:` description of a disk. `ids` are those of
    its files, by QEMU's names. MachineFailed when it is none of ours.

    A machine that an older vertui started has its files by their paths, and a view, COMMIT/disk, as its base.
    """
    found: list[str] = []

    try:
        node = json.loads(described.removeprefix("json:"))["file"]
        while node["driver"] == "qcow2":
            file = node["file"]["filename"]
            found.append(ids.get(file) or Path(file).stem)
            node = node["backing"]
        base = ids.get(node["filename"]) or Path(node["filename"]).parent.name
    except (ValueError, KeyError, TypeError) as error:
        raise MachineFailed("the machine's disk is not one that vertui gave it") from error
    return base, tuple(reversed(found))


def _layer(layer: Layer, below: Node | None) -> Node:
    file = _file(_file_name(layer.id), layer)
    return {"driver": "qcow2", "node-name": layer_name(layer.id), "file": file, "backing": below}


def _file(name: str, layer: Layer) -> Node:
    return {"driver": "file", "node-name": name, "filename": str(layer.path), "locking": "off"}


def _file_name(layer: str) -> str:
    return f"f-{layer}"
