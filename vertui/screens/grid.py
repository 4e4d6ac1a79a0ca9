"""How many panes stand beside and below each other."""

import math

MOST = 6  # in a row, and in a column
LEAST_WIDTH, LEAST_HEIGHT = 26, 5  # columns and rows of a pane, with its frame: less says nothing
SHAPE = 3.0  # columns to rows of a pane that is good to read: 60 × 20


def arrange(panes: int, width: int, height: int) -> tuple[int, int]:
    """Columns and rows of the grid for so many panes in this room. What it does not hold is on its next pages."""
    most_columns = max(1, min(MOST, width // LEAST_WIDTH))
    most_rows = max(1, min(MOST, height // LEAST_HEIGHT))
    if panes >= most_columns * most_rows:
        return most_columns, most_rows
    fitting = [
        (columns, rows)
        for columns in range(1, most_columns + 1)
        if (rows := math.ceil(panes / columns)) <= most_rows
    ]

    def badness(grid: tuple[int, int]) -> float:
        """How far from a good shape a pane is, and how much room stays empty."""
        columns, rows = grid
        shape = (width / columns) / max(1.0, height / rows)
        return abs(math.log(shape / SHAPE)) + (columns * rows - panes) / panes

    return min(fitting, key=badness)
