"""The modes that a program may set, and those that matter to keys, mouse and paste."""

from enum import IntEnum


class Private(IntEnum):
    """DEC's private modes and xterm's, by number."""

    CURSOR_KEYS = 1
    COLUMNS = 3
    REVERSED = 5
    ORIGIN = 6
    WRAP = 7
    MOUSE_PRESS = 9
    CURSOR = 25
    COLUMNS_ALLOWED = 40
    OTHER_SCREEN = 47
    KEYPAD = 66
    MOUSE = 1000
    MOUSE_DRAG = 1002
    MOUSE_MOVE = 1003
    FOCUS = 1004
    MOUSE_UTF8 = 1005
    MOUSE_SGR = 1006
    WHEEL_ARROWS = 1007
    MOUSE_URXVT = 1015
    OTHER_SCREEN_CLEARED = 1047
    SAVED_CURSOR = 1048
    OTHER_SCREEN_SAVED = 1049
    PASTE = 2004
    SYNCHRONIZED = 2026


SET_AT_FIRST = frozenset({Private.WRAP, Private.CURSOR, Private.WHEEL_ARROWS})
MOUSE = (Private.MOUSE_PRESS, Private.MOUSE, Private.MOUSE_DRAG, Private.MOUSE_MOVE)
ENCODINGS = (Private.MOUSE_UTF8, Private.MOUSE_SGR, Private.MOUSE_URXVT)
OTHER_SCREENS = (Private.OTHER_SCREEN, Private.OTHER_SCREEN_CLEARED, Private.OTHER_SCREEN_SAVED)
KNOWN = frozenset(Private)
SET, RESET, UNKNOWN = 1, 2, 0  # as DECRPM says it


class Modes:
    """What is set. `mouse` is the kind of reports asked for, None for none."""

    def __init__(self) -> None:
        self._set: set[int] = {*SET_AT_FIRST}
        self.new_line = False
        self.mouse: Private | None = None
        self.encoding: Private | None = None

    def on(self, mode: Private) -> bool:
        """Is it set?"""
        return mode in self._set

    def set(self, number: int, on: bool) -> None:
        """Set a private mode, or reset it. What is unknown is forgotten."""
        if number not in KNOWN:
            return
        self._set.add(number) if on else self._set.discard(number)
        if number in MOUSE:  # the last that was set counts
            self.mouse = Private(number) if on else None
            self._set.difference_update(one for one in MOUSE if one != number)
        if number in ENCODINGS:
            self.encoding = Private(number) if on else None
            self._set.difference_update(one for one in ENCODINGS if one != number)

    def told(self, number: int, alternate: bool) -> int:
        """What is answered to who asks for a mode."""
        if number not in KNOWN:
            return UNKNOWN
        on = alternate if number in OTHER_SCREENS else number in self._set
        return SET if on else RESET
