"""Where pages of memory differ, as rows of characters: the denser, the more of a region's pages do."""

from collections.abc import Iterator

from core.diff.result import HeatMap
from vertui.text import size

HEAT = " ░▒▓█"  # from no page of a region changed to most


def said(heat: HeatMap) -> str:
    """How much differs, and what a character is."""
    changed, whole = heat.changed_pages * heat.page_bytes, heat.pages * heat.page_bytes
    return (
        f"{size(changed)} of {size(whole)} differ; a character is {size(heat.cell_pages * heat.page_bytes)}"
    )


def rows(heat: HeatMap) -> Iterator[tuple[int, str]]:
    """The address of each row's first byte, and a character a region, addresses rising from left to right."""
    region = heat.cell_pages * heat.page_bytes
    for start in range(0, len(heat.cells), heat.columns):
        row = heat.cells[start : start + heat.columns]
        yield start * region, "".join(HEAT[-(-count * (len(HEAT) - 1) // heat.cell_pages)] for count in row)
