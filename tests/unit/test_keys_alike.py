"""The same key means the same on every screen: the registry's meaning, or the one that `vertui.keymap` tells."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from textual.binding import Binding
from textual.dom import DOMNode

import vertui.screens
import vertui.widgets
from vertui.actions import ACTIONS, BY_ID
from vertui.keymap import ALIKE, ELSEWHERE

OF_ACTIONS = {action.key: action.id for action in ACTIONS}


def bindings() -> Iterator[tuple[str, Binding]]:
    """All there are, of each screen, dialog and widget of ours."""
    for package in (vertui.screens, vertui.widgets):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for name, cls in vars(import_module(found.name)).items():
                if isinstance(cls, type) and issubclass(cls, DOMNode) and cls.__module__ == found.name:
                    for binding in Binding.make_bindings(cls.__dict__.get("BINDINGS", ())):
                        yield name, binding


def test_a_key_means_one_thing() -> None:
    used = set()
    for name, binding in bindings():
        used.add(binding.key)
        if binding.id is not None:
            assert binding.key == BY_ID[binding.id].key, f"{name}: {binding.key}"
        elif binding.key in OF_ACTIONS:
            assert binding.key in ALIKE, (
                f"{name}: {binding.key} is {OF_ACTIONS[binding.key]}'s: bind it by its id"
            )
        else:
            assert binding.key in ELSEWHERE, f"{name}: {binding.key} means nothing yet"
    assert len(used) > 60
    assert {*ELSEWHERE} <= used and {*ALIKE} <= used, "nothing is told of keys that there are not"
    assert not {*ELSEWHERE} & {*OF_ACTIONS} and {*ALIKE} <= {*OF_ACTIONS}
