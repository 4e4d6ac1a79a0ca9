"""Bytes that a program prints, told apart: text, controls, and the sequences of ECMA-48 and of DEC's terminals.

What is whole is found by a regular expression; only what is cut or odd goes through the states of Paul Williams'
parser (vt100.net/emu/dec_ansi_parser), by the character. Nothing that is kept between two calls grows.
"""

import codecs
import re
from enum import Enum, auto
from functools import lru_cache
from typing import Protocol

ESC = "\x1b"
CANCEL = "\x18\x1a"
MOST_PARAMETERS = 32
LONGEST_PARAMETERS = 256  # characters; no sequence that means something is as long
LONGEST_STRING = 4096  # characters of a title or a question; the rest is read and forgotten
LARGEST = 65535  # no number in a sequence needs to be more

TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
CSI = re.compile(r"\x1b\[([<-?]?)([0-9:;]{0,256})([ -/]?)([@-~])")
STRING_PART = re.compile(r"[^\x07\x18\x1a\x1b]+")


class ParserState(Enum):
    """What the next character is part of."""

    GROUND = auto()
    ESCAPE = auto()
    CSI = auto()
    STRING = auto()


class Performer(Protocol):
    """Who is told what came."""

    def print(self, text: str) -> None:
        """Characters to show; none of them is C0 or C1."""

    def control(self, char: str) -> None:
        """A C0 control."""

    def escape(self, between: str, final: str) -> None:
        """A sequence of ESC, intermediate characters and a final one."""

    def csi(self, prefix: str, parameters: str, between: str, final: str) -> None:
        """A control sequence; `parameters` is as `numbers` reads it."""

    def string(self, kind: str, text: str) -> None:
        """A control string that began with ESC and `kind`: `]`, `P`, `X`, `^` or `_`."""


class Parser:
    """Feeds a sink."""

    def __init__(self, sink: Performer) -> None:
        self._sink = sink
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._state = ParserState.GROUND
        self._kind = self._between = self._parameters = ""
        self._string: list[str] = []
        self._length = 0
        self._steps = {ParserState.ESCAPE: self._escape, ParserState.CSI: self._csi}

    def feed(self, data: bytes) -> None:
        """Take bytes, cut anywhere."""
        text, at = self._decode(data), 0
        while at < len(text):
            if self._state is not ParserState.GROUND:
                at = self._go_on(text, at)
                continue
            char = text[at]
            if char < " ":
                if char == ESC and (found := CSI.match(text, at)):
                    self._sink.csi(found[1], found[2], found[3], found[4])
                    at = found.end()
                    continue
                self._begin(char)
            elif found := TEXT.match(text, at):
                self._sink.print(found[0])
                at = found.end()
                continue
            at += 1

    def _begin(self, char: str) -> None:
        if char == ESC:
            self._state, self._between = ParserState.ESCAPE, ""
        else:
            self._sink.control(char)

    def _go_on(self, text: str, at: int) -> int:
        """One character, or a part of a string; where to go on."""
        if self._state is ParserState.STRING:
            if found := STRING_PART.match(text, at):
                self._keep(found[0])
                return found.end()
            self._in_string(text[at])
            return at + 1
        char = text[at]
        if char == ESC:
            self._begin(char)
        elif char in CANCEL:
            self._state = ParserState.GROUND
        elif char < " ":
            self._sink.control(char)  # a control within a sequence is done at once
        elif char > "~":
            if char >= "\xa0":  # no part of any sequence: what was begun is given up
                self._state = ParserState.GROUND
                return at
        else:
            self._steps[self._state](char)
        return at + 1

    def _escape(self, char: str) -> None:
        if char < "0":
            self._between = (self._between + char)[:3]  # three are none that anything means
        elif self._between or char not in "[]PX^_":
            self._state = ParserState.GROUND
            self._sink.escape(self._between, char)
        elif char == "[":
            self._state, self._parameters = ParserState.CSI, ""
        else:
            self._state, self._kind, self._length = ParserState.STRING, char, 0
            self._string.clear()

    def _csi(self, char: str) -> None:
        if char >= "@":
            self._state = ParserState.GROUND
            if found := CSI.fullmatch(f"{ESC}[{self._parameters}{self._between}{char}"):
                self._sink.csi(found[1], found[2], found[3], found[4])
        elif char < "0":
            self._between = (self._between + char)[:3]
        elif len(self._parameters) < LONGEST_PARAMETERS:
            # behind an intermediate a parameter makes the sequence wrong: it is kept as one that nothing means
            self._parameters += "?" if self._between else char

    def _keep(self, part: str) -> None:
        part = part[: LONGEST_STRING - self._length]
        if part:
            self._string.append(part)
            self._length += len(part)

    def _in_string(self, char: str) -> None:
        if char in CANCEL:
            self._state = ParserState.GROUND
        elif char == ESC or self._kind == "]":  # ST is ESC and a backslash, which by itself means nothing
            self._state = ParserState.GROUND
            self._sink.string(self._kind, "".join(self._string))
            if char == ESC:
                self._begin(ESC)


@lru_cache(1024)
def numbers(parameters: str) -> tuple[tuple[int, ...], ...]:
    """The parameters of a control sequence: one tuple each, of what colons part; -1 where nothing is written."""
    parts = parameters.split(";", MOST_PARAMETERS)[:MOST_PARAMETERS]
    return tuple(tuple(map(_number, part.split(":", 8)[:8])) for part in parts)


def _number(digits: str) -> int:
    return min(int(digits), LARGEST) if digits else -1
