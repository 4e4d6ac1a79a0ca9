"""The themes that the screen can wear: each gives every colour of `vertui.theme` a look of its own.

What is drawn is drawn in the colours of the first one. A filter over all that leaves for the terminal puts those of the
one that is worn in their places, so that changing it reaches everything at once, also lines that were coloured long
ago. `sixteen` has no colours of its own but the terminal's; where NO_COLOR is set there are attributes alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from rich.color import Color as RichColor
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import Theme

from vertui import theme

MOST_STYLES = 4096  # looks remembered: a screen has some dozens, a guest's true colours may have any number
COLOURS = (
    "ground", "raised", "selected", "border", "text", "bright", "muted", "faint", "teal", "green", "gold", "red",
    "violet", "blue",
)  # fmt: skip
"""What a theme gives; its other colours are mixed of these."""

Look = Callable[[Style], Style]


@dataclass(frozen=True)
class ColourTheme:
    """`colours` are those of COLOURS, in order, as six digits each."""

    name: str
    about: str
    colours: str
    dark: bool = True

    @property
    def named(self) -> dict[str, str]:
        """Each colour by its name."""
        return dict(zip(COLOURS, (f"#{digits}" for digits in self.colours.split()), strict=True))

    @property
    def shown(self) -> dict[str, str]:
        """What is shown in place of each colour of `vertui.theme`."""
        own = self.named
        ground = own["ground"]
        found = {getattr(theme, name.upper()): colour for name, colour in own.items()}
        found |= {
            theme.ADDED_GROUND: mixed(own["green"], ground, 0.12),
            theme.ADDED_WORDS: mixed(own["green"], ground, 0.36),
            theme.REMOVED_GROUND: mixed(own["red"], ground, 0.12),
            theme.REMOVED_WORDS: mixed(own["red"], ground, 0.36),
            theme.FOUND: mixed(own["gold"], ground, 0.4),
        }
        hues = ("teal", "violet", "gold", "green", "red", "blue")
        found |= {
            lighter: mixed(found[colour], own["bright"], 0.7) for colour, lighter in theme.LIGHTER.items()
        } | {theme.BLACK: own["raised"] if self.dark else own["bright"]}
        found |= {lane: mixed(own[hue], ground, 0.7) for lane, hue in zip(theme.LANES, hues, strict=True)}
        return found


def mixed(colour: str, ground: str, share: float) -> str:
    """So much of a colour on a ground."""
    return Color.parse(ground).blend(Color.parse(colour), share).hex6


FIRST = ColourTheme(
    "dusk", "dark and calm", " ".join(getattr(theme, name.upper()).removeprefix("#") for name in COLOURS)
)  # fmt: skip
SIXTEEN = ColourTheme("sixteen", "the terminal's own sixteen colours", FIRST.colours)
THEMES = (
    FIRST,
    ColourTheme(
        "midnight", "dark, black ground, bright colours",
        "000001 0b0d12 1d2b45 2a3140 d6dbe6 ffffff 8b93a5 596073 4fd6e0 5ee08a ffc857 ff6b70 b99cff 6ea8ff",
    ),
    ColourTheme(
        "fjord", "dark, cold blues",
        "2b303b 323845 434c5e 4c566a d8dee9 eceff4 929db2 6b768c 88c0d0 a3be8c ebcb8b d5747e b994b4 81a1c1",
    ),
    ColourTheme(
        "ember", "dark, warm browns",
        "211d1a 2a2521 46392b 50463c e3d5b8 fbf1c7 a39583 776b5d 83b69c b8bb26 fabd2f fb6a4a d3869b 8fb3c4",
    ),
    ColourTheme(
        "contrast", "dark, as much contrast as there is",
        "000002 101012 0a3d7a 8a8a8c f4f4f4 fffffe c8c8c8 a0a0a2 00e5ff 4dff6a ffd500 ff7575 d9a6ff 86b6ff",
    ),
    ColourTheme(
        "paper", "light, white ground",
        "fcfcfa f0f0ec d7e4ee c9ccc8 2c3338 0c1114 62696e 8d9498 0b6e7c 2b7330 8a5a00 b3312c 6a46b0 2458b0",
        dark=False,
    ),
    ColourTheme(
        "linen", "light, warm ground",
        "f7f0dd efe6cd e3d3a8 cfc3a3 46423a 1d1b17 746c5c 9b927e 1c6f6b 55701a 8f5902 ad3218 7a4480 2f5f93",
        dark=False,
    ),
    ColourTheme(
        "safe", "dark, told apart by the colour-blind",
        "10131b 171c27 26385a 303b52 d2d8e2 f2f5fa 808b9e 556075 56b4e9 0fb08a f0e442 e8783c cc79a7 3f9be0",
    ),
    ColourTheme(
        "safe-light", "light, told apart by the colour-blind",
        "fafbfd eceff5 cfdff0 c3cad6 252c36 0a0e14 5c6675 858f9e 0a6fa8 007a5a 806000 b84a00 9c3f78 0057a3",
        dark=False,
    ),
    SIXTEEN,
)  # fmt: skip
BY_NAME = {one.name: one for one in THEMES}


def textual_theme(worn: ColourTheme) -> Theme:
    """What the stylesheet's variables mean. The terminal's own colours are put in by the filter alone."""
    colour = worn.named
    ground, border = colour["ground"], colour["border"]
    return Theme(
        name=worn.name,
        primary=colour["teal"],
        secondary=colour["violet"],
        accent=colour["gold"],
        foreground=colour["text"],
        background=ground,
        surface=ground,
        panel=colour["raised"],
        success=colour["green"],
        warning=colour["gold"],
        error=colour["red"],
        dark=worn.dark,
        variables={
            "border": border,
            "border-blurred": border,
            "block-cursor-background": colour["selected"],
            "block-cursor-foreground": colour["bright"],
            "input-selection-background": f"{colour['teal']} 30%",
            "scrollbar": border,
            "scrollbar-hover": colour["faint"],
            "scrollbar-active": colour["muted"],
            "scrollbar-background": ground,
            "scrollbar-background-hover": ground,
            "scrollbar-background-active": ground,
            "scrollbar-corner-color": ground,
            "text-muted": colour["muted"],
            "faint": colour["faint"],
        },
    )


class Recolour(LineFilter):
    """Gives all that is drawn another look."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self._look = lru_cache(MOST_STYLES)(look)

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments, looking otherwise."""
        look = self._look
        return [Segment(text, style and look(style), control) for text, style, control in segments]


def filter_of(worn: ColourTheme) -> Recolour | None:
    """What puts a theme's colours in; None for the first one, in which all is drawn."""
    if worn is FIRST:
        return None
    if worn is SIXTEEN:
        return Recolour(_in_sixteen)
    shown = {_rich(theirs).triplet: _rich(ours) for theirs, ours in worn.shown.items()}

    def look(style: Style) -> Style:
        colour, ground = style.color, style.bgcolor
        return style + Style(
            color=shown.get(colour.triplet) if colour and colour.triplet else None,
            bgcolor=shown.get(ground.triplet) if ground and ground.triplet else None,
        )

    return Recolour(look)


# -- without colours of our own ------------------------------------------------------------------------------

TERMINALS = {
    theme.BORDER: "bright_black", theme.TEXT: "default", theme.BRIGHT: "default", theme.MUTED: "bright_black",
    theme.FAINT: "bright_black", theme.TEAL: "cyan", theme.GREEN: "green", theme.GOLD: "yellow", theme.RED: "red",
    theme.VIOLET: "magenta", theme.BLUE: "blue", theme.GROUND: "black", theme.BLACK: "black",
    theme.LIGHTER[theme.RED]: "bright_red", theme.LIGHTER[theme.GREEN]: "bright_green",
    theme.LIGHTER[theme.GOLD]: "bright_yellow", theme.LIGHTER[theme.VIOLET]: "bright_magenta",
    theme.LIGHTER[theme.BLUE]: "bright_blue", theme.LIGHTER[theme.TEAL]: "bright_cyan",
} | dict(zip(theme.LANES, ("cyan", "magenta", "yellow", "green", "red", "blue"), strict=True))  # fmt: skip
GROUNDS = (theme.GROUND, theme.RAISED, theme.ADDED_GROUND, theme.REMOVED_GROUND)
"""Of these none is shown where the terminal's own ground is: other grounds mark something, and are."""

TURNED = (theme.SELECTED, theme.ADDED_WORDS, theme.REMOVED_WORDS, theme.FOUND)
DIMMED = (theme.FAINT, theme.MUTED, theme.BORDER)


def _rich(colour: str) -> RichColor:
    return RichColor.parse(colour)


def _by_triplet(names: Mapping[str, str]) -> dict[object, RichColor]:
    return {_rich(colour).triplet: _rich(name) for colour, name in names.items()}


SIXTEEN_OF = _by_triplet(TERMINALS)
PLAIN_GROUNDS = frozenset(_rich(colour).triplet for colour in GROUNDS)
TURNED_GROUNDS = frozenset(_rich(colour).triplet for colour in TURNED)
DIM = frozenset(_rich(colour).triplet for colour in DIMMED)


def _bare(style: Style) -> Style:
    """The same without colours, which are the terminal's own then; a click still finds what it is on."""
    bare = style.without_color
    return bare + Style.from_meta(style.meta) if style.meta else bare


def _in_sixteen(style: Style) -> Style:
    """In the terminal's colours; what is marked by a ground is turned round."""
    colour, ground = style.color, style.bgcolor
    if ground is not None and ground.triplet in TURNED_GROUNDS:
        return _bare(style) + Style(reverse=True)
    is_plain = ground is None or ground.triplet in PLAIN_GROUNDS
    return _bare(style) + Style(color=_terminals(colour), bgcolor=None if is_plain else _terminals(ground))


def _terminals(colour: RichColor | None) -> RichColor | None:
    """The nearest of the sixteen; None for the terminal's own of text or ground."""
    if colour is None or colour.is_default:
        return None
    found = SIXTEEN_OF.get(colour.triplet) or colour.downgrade(ColorSystem.STANDARD)
    return None if found.is_default else found


def _colourless(style: Style) -> Style:
    """No colour at all: what is quiet is dim, what is marked by a ground is turned round."""
    colour, ground = style.color, style.bgcolor
    marked = ground is not None and ground.triplet is not None and ground.triplet not in PLAIN_GROUNDS
    quiet = not marked and colour is not None and colour.triplet in DIM
    return _bare(style) + Style(reverse=marked or style.reverse, dim=quiet or style.dim)


COLOURLESS = Recolour(_colourless)
"""What NO_COLOR asks for: https://no-color.org."""
