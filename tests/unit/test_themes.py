"""Themes: each is whole, readable, and puts its colours in the places of those that everything is drawn in."""

import pytest
from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from core.model import BranchState, CommitState
from vertui import theme, themes
from vertui.lanes import BRANCH_MARKS, COMMIT_MARKS
from vertui.themes import COLOURLESS, FIRST, SIXTEEN, THEMES, ColourTheme, filter_of

OWN = [one for one in THEMES if one not in (FIRST, SIXTEEN)]
DRAWN = [getattr(theme, name.upper()) for name in themes.COLOURS] + [
    *theme.LANES,
    theme.FOUND,
    theme.ADDED_WORDS,
]
DRAWN += [theme.BLACK, *theme.LIGHTER.values()]


def shown(worn: ColourTheme, style: str) -> Style:
    filter = filter_of(worn)
    assert filter is not None
    [segment] = filter.apply([Segment("x", Style.parse(style))], Color.parse("#000000"))
    assert segment.style is not None
    return segment.style


def test_the_first_one_costs_nothing() -> None:
    assert filter_of(FIRST) is None


def test_there_are_eight_with_light_ones_and_the_terminals_own() -> None:
    assert len(THEMES) >= 8 and len({one.name for one in THEMES}) == len(THEMES)
    assert sum(not one.dark for one in THEMES) >= 2
    assert SIXTEEN in THEMES and any("colour-blind" in one.about for one in THEMES)


@pytest.mark.parametrize("worn", OWN, ids=lambda worn: worn.name)
def test_a_theme_is_whole_and_readable(worn: ColourTheme) -> None:
    own = worn.named
    assert not {*own.values()} & {*FIRST.named.values()}, "a colour that is drawn in would be changed twice"
    assert {*DRAWN} <= {*worn.shown}
    ground = Color.parse(own["ground"])
    assert (ground.brightness < 0.5) is worn.dark
    for name in ("text", "bright", "muted", "teal", "green", "gold", "red", "violet", "blue"):
        contrast = contrast_of(Color.parse(own[name]), ground)
        assert contrast >= 3.0, f"{name}: {contrast:.1f}"
    assert contrast_of(Color.parse(own["text"]), Color.parse(own["selected"])) >= 4.5
    assert shown(worn, f"bold {theme.TEAL} on {theme.SELECTED}") == Style.parse(
        f"bold {own['teal']} on {own['selected']}"
    )
    assert shown(worn, "#010203") == Style.parse("#010203"), "a guest's own colours stay"


def contrast_of(one: Color, other: Color) -> float:
    """As WCAG 2.1 has it: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio."""

    def luminance(colour: Color) -> float:
        parts = [
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_safe_ones_tell_good_from_bad_without_red_and_green() -> None:
    """To those who see no red or no green, two colours differ by their blue and their brightness."""
    for worn in (one for one in THEMES if "colour-blind" in one.about):
        good, bad = (Color.parse(worn.named[name]) for name in ("green", "red"))
        assert abs(good.b - bad.b) > 60, worn.name


def test_sixteen_has_colours_of_the_terminal_alone() -> None:
    for colour in (*DRAWN, "#123456", "default"):
        style = shown(SIXTEEN, f"{colour} on {colour}")
        for found in (style.color, style.bgcolor):
            assert found is None or found.type is ColorType.STANDARD, colour
    clicked = Style.parse(f"bold {theme.TEAL}") + Style(meta={"action": "fork"})
    [segment] = COLOURLESS.apply([Segment("f", clicked)], Color.parse("#000000"))
    assert segment.style and segment.style.meta == {"action": "fork"} and segment.style.bold
    assert shown(SIXTEEN, f"on {theme.SELECTED}").reverse


def test_without_colours_what_is_marked_is_still_told_apart() -> None:
    drawn = [theme.TEXT, f"{theme.RED} on {theme.SELECTED}", theme.FAINT]
    plain, marked, quiet = COLOURLESS.apply(
        [Segment("x", Style.parse(style)) for style in drawn], Color.parse("#000000")
    )
    for segment in (plain, marked, quiet):
        assert segment.style is not None
        assert segment.style.color is segment.style.bgcolor is None
    assert marked.style and marked.style.reverse and quiet.style and quiet.style.dim
    assert plain.style is not None and not plain.style.reverse and not plain.style.dim


def test_no_state_is_told_by_its_colour_alone() -> None:
    for kind, marks in ((BranchState, BRANCH_MARKS), (CommitState, COMMIT_MARKS)):
        assert {*marks} == {*kind}
        assert len({mark.glyph for mark in marks.values()}) == len(marks)
    glyphs = [glyph for glyph, _ in theme.OPERATION_MARKS.values()]
    assert len({*glyphs}) == len(glyphs)
