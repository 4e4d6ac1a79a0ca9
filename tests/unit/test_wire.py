"""Frames: whatever the cut of the stream, each arrives once, and damage costs no more than the damaged frame."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.guest.agent import wire

FRAMES = st.lists(
    st.tuples(st.integers(1, 255), st.integers(0, 2**32 - 1), st.binary(max_size=300)), min_size=1, max_size=5
)


def read(data: bytes, *, strict: bool, cuts: list[int] | None = None) -> list[wire.Frame]:
    frames = wire.Frames(strict=strict)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    return [frame for piece in pieces for frame in frames.feed(piece)]


@given(FRAMES, st.lists(st.integers(0, 2000), max_size=8))
def test_frames_survive_any_cut(frames: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
    data = b"".join(wire.frame(*frame) for frame in frames)
    assert read(data, strict=True, cuts=cuts) == frames


@given(st.binary(max_size=400), st.integers(0, 500))
def test_a_reader_left_in_the_middle_is_ready_after_the_zeros(payload: bytes, cut: int) -> None:
    half = wire.frame(wire.STDIN, 7, payload)[:cut]
    hello = wire.frame(wire.HELLO, 0, b"n" * wire.NONCE_BYTES)
    assert read(half + wire.RESYNC + hello, strict=False)[-1] == (wire.HELLO, 0, b"n" * wire.NONCE_BYTES)


@given(st.binary(max_size=400))
def test_a_lenient_reader_outlives_garbage(garbage: bytes) -> None:
    hello = wire.frame(wire.HELLO, 0, b"n" * wire.NONCE_BYTES)
    assert read(garbage + wire.RESYNC + hello, strict=False)[-1] == (wire.HELLO, 0, b"n" * wire.NONCE_BYTES)


def test_a_damaged_frame_is_dropped_alone() -> None:
    damaged = bytearray(wire.frame(wire.STDIN, 1, b"damaged"))
    damaged[-1] ^= 1
    good = wire.frame(wire.STDIN, 1, b"good")
    assert read(bytes(damaged) + good, strict=False) == [(wire.STDIN, 1, b"good")]


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 20,
        wire.HEADER.pack(1, 1, wire.MAX_PAYLOAD + 1) + bytes(4),
        wire.frame(1, 1, b"payload")[:-1] + b"!",
    ],
    ids=["zeros", "too long", "checksum"],
)
def test_a_strict_reader_refuses(data: bytes) -> None:
    with pytest.raises(wire.WireError):
        read(data, strict=True)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"[" * 60_000, b"\xff", b"1"])
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.Frame(wire.REPLY, 1, payload).json()


def test_a_frame_has_a_limit() -> None:
    with pytest.raises(wire.WireError):
        wire.frame(1, 1, bytes(wire.MAX_PAYLOAD + 1))


def test_a_long_list_is_cut_to_fit_and_says_so() -> None:
    answer = wire.bounded("items", [{"text": "\x01" * 500}] * 200)
    assert len(wire.json_frame(wire.REPLY, 1, answer)) <= wire.MAX_PAYLOAD
    assert len(answer["items"]) + answer["left_out"] == 200
    assert answer["left_out"] > 0
