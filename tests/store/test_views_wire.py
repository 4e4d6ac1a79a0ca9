"""What is said on /dev/fuse, byte by byte, and node numbers that survive the server."""

import os
import struct

import pytest

from core.store.views import nodes, questions, wire
from core.store.views.nodes import LINE_BYTES, Nodes


def request(opcode: int, body: bytes = b"", length: int | None = None) -> memoryview:
    size = 40 + len(body)
    return memoryview(
        struct.pack("<IIQQ3IHH", size if length is None else length, opcode, 6, 5, 0, 0, 0, 0, 0) + body
    )


def test_sizes_are_the_kernels() -> None:
    """sizeof of fuse_in_header, out_header, init_out, attr, entry_out before attr, open_out; read_in, statfs_out, …"""
    structs = (wire.IN_HEADER, wire.OUT_HEADER, wire.INIT_OUT, wire.ATTRIBUTES, wire.ENTRY, wire.OPEN_OUT)
    assert [struct.size for struct in structs] == [40, 16, 64, 88, 40, 16]
    assert [struct.size for struct in (wire.READ_IN, wire.STATFS_OUT, wire.VALID)] == [40, 80, 16]


def test_requests_are_whole_or_refused() -> None:
    assert wire.parse(request(15, b"body")) == wire.Request(15, 6, 5, b"body")
    for data in (memoryview(b""), request(1)[:39], request(1, b"x", 40), request(1, b"x", 42)):
        with pytest.raises(ValueError):
            wire.parse(data)


def test_names_end_at_their_zero_and_are_text() -> None:
    assert wire.name(b"memory\0junk") == "memory"
    assert not nodes.NAME.fullmatch(wire.name(b"abcdef\xff\0"))


def test_init_agrees_to_no_more_than_was_offered() -> None:
    answer = struct.unpack(
        "<4I2H2I2HI28x", wire.init(struct.pack("<4I", 7, 31, 4096, 1 << 22), 65536, 131072, 12)
    )
    assert answer == (7, 31, 4096, 1 << 22, 12, 12, 4096, 1, 32, 0, 0)


def test_listings_fit_and_go_on_where_they_stopped() -> None:
    names = [(f"name-{number}", number, 0o100000) for number in range(50)]
    listed, offset = [], 0
    while data := wire.listing(names, offset, 200):
        assert len(data) <= 200
        while data:
            _, offset, length, kind = wire.ENTRY_NAME.unpack_from(data)
            listed.append(data[24 : 24 + length].decode())
            assert kind == 8
            data = data[-(-(24 + length) // 8) * 8 :]
    assert listed == [name for name, _, _ in names]


def test_nodes_keep_their_numbers_when_the_server_is_replaced() -> None:
    table = nodes.make()
    try:
        first = Nodes(table)
        numbers = [first.node(commit, medium) for commit in ("aaaaaa", "b" * 63) for medium in nodes.MEDIA]
        assert len(set(numbers)) == 8 and min(numbers) > wire.ROOT
        os.pwrite(table, b"cccccc  ", 2 * LINE_BYTES)  # a line cut short
        second = Nodes(table)
        assert [second.find(number) for number in numbers[:4]] == [
            ("aaaaaa", medium) for medium in nodes.MEDIA
        ]
        assert second.commits() == ["aaaaaa", "b" * 63]
        assert second.node("dddddd") == 12 and Nodes(table).find(13) == ("dddddd", "memory")
        assert [second.find(number) for number in (0, 1, 3, 16, 1 << 63)] == [None] * 5
    finally:
        os.close(table)


def test_a_request_outlives_who_took_it() -> None:
    """It lies in its thread's slot until the thread takes the next; no slot is another's, and an empty one is none."""
    file = questions.make()
    try:
        slots = [questions.Questions(file).slot(number) for number in range(questions.SLOTS)]
        assert [questions.left(slot) for slot in slots] == [None] * questions.SLOTS
        for number, slot in enumerate(slots):
            asked = request(15, bytes([number]) * number)
            slot[: len(asked)] = asked
        after = questions.Questions(file)
        for number in range(questions.SLOTS):
            question = questions.left(after.slot(number))
            assert question is not None and wire.parse(question).body == bytes([number]) * number
    finally:
        os.close(file)


@pytest.mark.parametrize("length", [0, 39, wire.REQUEST_BYTES + 1, 0xFFFFFFFF])
def test_what_is_no_request_is_not_answered(length: int) -> None:
    slot = memoryview(bytearray(wire.REQUEST_BYTES))
    struct.pack_into("<I", slot, 0, length)
    assert questions.left(slot) is None
