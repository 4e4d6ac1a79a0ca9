"""How the screen is left and found again: between what is kept of it and the app."""

from vertui.base import BaseApp
from vertui.columns import Column, Sorting
from vertui.compare.noise import RULES
from vertui.folds import Fold, FoldKind
from vertui.remembered import MOST_FOLDS, ScreenLook
from vertui.screens.main import VIEWS, MainScreen


def look_of(app: BaseApp, main: MainScreen, worn: str) -> ScreenLook:
    """What is to be kept."""
    tree, liked = main.tree_view, app.arrangement
    said = [*tree.folds.said.items()][-MOST_FOLDS:]
    return ScreenLook(
        theme=worn, view=main.view, filter=tree.filter, sort=tree.sorting.by or "",
        backwards=tree.sorting.reverse, unfolded=tree.folds.every,
        folds={f"{fold.kind} {fold.root}": is_open for fold, is_open in said},
        side_by_side=liked.side_by_side, wrapped=liked.wrapped, blank=liked.blank,
        off=tuple(rule.glob for rule in RULES if rule not in liked.rules), took_s=dict(app.took_s),
    )  # fmt: skip


def look_so(app: BaseApp, main: MainScreen, look: ScreenLook) -> None:
    """Make it so. What another version of the UI kept that is nothing to this one is passed over."""
    tree, liked = main.tree_view, app.arrangement
    main.show_view(look.view if look.view in VIEWS else VIEWS[0])
    tree.folds.every = look.unfolded
    for name, is_open in look.folds.items():
        kind, _, root = name.partition(" ")
        if kind in {*FoldKind}:
            tree.folds.said[Fold(FoldKind(kind), root)] = is_open
    if look.sort in {*Column}:
        tree.sorting = Sorting(Column(look.sort), look.backwards)
    if look.filter:
        main.filter_by(look.filter)
    liked.side_by_side, liked.wrapped, liked.blank = look.side_by_side, look.wrapped, look.blank
    liked.rules = tuple(rule for rule in RULES if rule.glob not in look.off)
    app.took_s = dict(look.took_s)
