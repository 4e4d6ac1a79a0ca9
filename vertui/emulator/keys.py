"""Keys, mouse and paste as the bytes that xterm would send for them, by the modes that a program has set.

Keys are named as Textual names them: `ctrl+shift+up`, `f5`, `alt+x`. Where a terminal tells us more than xterm's
encoding can say (`ctrl+shift+a`, `shift+enter`), the nearest that it can say is sent.
"""

import re

from vertui.emulator.modes import Modes, Private

ESC = "\x1b"
SHIFT, ALT, CTRL = 1, 2, 4
MODIFIERS = {"shift": SHIFT, "alt": ALT, "meta": ALT, "ctrl": CTRL, "super": 0, "hyper": 0}
LETTERED = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F", "kp_begin": "E"}
LETTERED |= {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
NUMBERED = {
    "insert": 2,
    "delete": 3,
    "pageup": 5,
    "pagedown": 6,
    "f5": 15,
    "f6": 17,
    "f7": 18,
    "f8": 19,
    "f9": 20,
}
NUMBERED |= {
    "f10": 21,
    "f11": 23,
    "f12": 24,
    "f13": 25,
    "f14": 26,
    "f15": 28,
    "f16": 29,
    "f17": 31,
    "f18": 32,
}
NUMBERED |= {"f19": 33, "f20": 34}
CONTROLS = {"enter": "\r", "tab": "\t", "escape": ESC, "backspace": "\x7f", "space": " "}
NAMED = {  # characters as Textual spells them in the names of keys
    "at": "@", "left_square_bracket": "[", "backslash": "\\", "right_square_bracket": "]",
    "circumflex_accent": "^", "underscore": "_", "question_mark": "?", "slash": "/", "minus": "-",
}  # fmt: skip
CTRL_OF = {" ": "\0", "@": "\0", "2": "\0", "3": ESC, "4": "\x1c", "5": "\x1d", "6": "\x1e", "7": "\x1f"}
CTRL_OF |= {"8": "\x7f", "?": "\x7f", "/": "\x1f", "-": "\x1f", "`": "\0", "~": "\x1e", "\x7f": "\b"}
UNSAFE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""What no paste may hold: it could end the paste, and do what was to be only text."""


def key(name: str, character: str | None, modes: Modes) -> bytes:
    """What is sent for a key; nothing for one that means nothing."""
    *held, base = name.split("+") if name != "+" else [name]
    modifiers = 0
    for word in held:
        modifiers |= MODIFIERS.get(word, 0)
    if base in LETTERED:
        return _lettered(base, modifiers, modes.on(Private.CURSOR_KEYS)).encode()
    if base in NUMBERED:
        return _numbered(NUMBERED[base], modifiers).encode()
    if name == "shift+tab":
        return b"\x1b[Z"
    text = CONTROLS.get(base) or NAMED.get(base) or (base if len(base) == 1 else "")
    if (
        character is not None
        and not modifiers & CTRL
        and (not text or len(base) > 1)
        and base not in CONTROLS
    ):
        text = character
    if not text:
        return (character or "").encode()
    if modifiers & SHIFT and text.isalpha():
        text = text.upper()
    if modifiers & CTRL:
        text = _controlled(text)
    if base == "enter" and modes.new_line:
        text += "\n"
    return ((ESC if modifiers & ALT else "") + text).encode(errors="replace")


def _lettered(base: str, modifiers: int, application: bool) -> str:
    letter = LETTERED[base]
    if modifiers:
        return f"{ESC}[1;{modifiers + 1}{letter}"
    return f"{ESC}O{letter}" if application or letter in "PQRS" else f"{ESC}[{letter}"


def _numbered(number: int, modifiers: int) -> str:
    return f"{ESC}[{number};{modifiers + 1}~" if modifiers else f"{ESC}[{number}~"


def _controlled(text: str) -> str:
    if text in CTRL_OF:
        return CTRL_OF[text]
    if "@" <= text.upper() <= "_":
        return chr(ord(text.upper()) & 31)
    return text


def pasted(text: str, modes: Modes) -> bytes:
    """What is sent for a paste: text, whatever it holds. Lines end as the enter key ends them."""
    text = UNSAFE.sub("", text.replace("\r\n", "\n")).replace("\n", "\r")
    if modes.on(Private.PASTE):
        text = f"{ESC}[200~{text}{ESC}[201~"
    return text.encode(errors="replace")


def mouse(
    button: int, x: int, y: int, modifiers: int, modes: Modes, *, moved: bool = False, up: bool = False
) -> bytes:
    """What is sent for the mouse; nothing where the program has not asked for it.

    `button` counts from 0; 3 is none, and 64 and above are the wheel. Columns and rows count from 0.
    """
    asked = modes.mouse
    if asked is None or (asked is Private.MOUSE_PRESS and (moved or up or button > 2)):
        return b""
    if moved and not (asked is Private.MOUSE_MOVE or (asked is Private.MOUSE_DRAG and button != 3)):
        return b""
    code = button + 32 * moved
    if asked is not Private.MOUSE_PRESS:
        code += 4 * bool(modifiers & SHIFT) + 8 * bool(modifiers & ALT) + 16 * bool(modifiers & CTRL)
    if modes.encoding is Private.MOUSE_SGR:
        return f"{ESC}[<{code};{x + 1};{y + 1}{'m' if up else 'M'}".encode()
    if up:
        code = code & ~3 | 3
    if modes.encoding is Private.MOUSE_URXVT:
        return f"{ESC}[{code + 32};{x + 1};{y + 1}M".encode()
    numbers = (code + 32, x + 33, y + 33)
    if modes.encoding is Private.MOUSE_UTF8:
        return f"{ESC}[M{''.join(map(chr, numbers))}".encode()
    if max(numbers) > 255:  # farther than the oldest encoding can say
        return b""
    return b"\x1b[M" + bytes(numbers)


def focus(gained: bool, modes: Modes) -> bytes:
    """What is sent when the terminal gains or loses the focus."""
    return (b"\x1b[I" if gained else b"\x1b[O") if modes.on(Private.FOCUS) else b""
