"""A fork's children before there are any: what they are called and what each starts."""

import asyncio
from pathlib import Path

import pytest

from core.engine.memory import CHILD_BYTES
from core.errors import Conflict, UsageError
from core.naming import MemoryRoom, children_commands, children_names, filled
from core.verbs.fork import Fork
from core.verbs.shown import Shown
from tests.twins.engine import twin_engine
from tests.twins.served import served
from tests.ui.trees import DEMO
from vertui.variants import lines_of, values_of


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("make", "make"),
        ("train --seed {i} > {name}.log", "train --seed 3 > b3.log"),
        ("for i in 1 2; do echo ${i} $i; done", "for i in 1 2; do echo ${i} $i; done"),
        ("awk '{print $1}' {other} {{i}} {{name}}", "awk '{print $1}' {other} {i} {name}"),
        ("{i}{i}{name}", "33b3"),
    ],
)
def test_a_command_is_filled_in_for_each_child(command: str, meant: str) -> None:
    assert filled(command, 3, "b3") == meant


def test_children_get_names_that_are_free_and_a_command_each() -> None:
    assert children_names("main", 2, None, {"b1"}, ()) == ["main-1", "main-2"]
    assert children_names(None, 1, "try", (), ()) == ["try"]
    with pytest.raises(Conflict, match="'try2' is taken"):
        children_names(None, 2, "try", {"try2"}, ())
    assert children_commands(["a1", "a2"], "run {i}", ()) == {"a1": "run 1", "a2": "run 2"}
    assert children_commands(["a1", "a2"], None, ("x {name}", "")) == {"a1": "x a1"}


def test_variants_are_as_many_as_the_children() -> None:
    shown = Shown(DEMO)
    assert Fork("main", variants=("a", "b", "c")).children == 3
    assert Fork("main", 3, variants=("a", "b", "c")).refuse(shown) is None
    assert "2 children and 3 variants" in (Fork("main", 2, variants=("a", "b", "c")).refuse(shown) or "")
    assert "not both" in (Fork("main", command="x", variants=("a",)).refuse(shown) or "")


def test_what_a_fork_comes_to_is_foretold() -> None:
    shown, room = Shown(DEMO), MemoryRoom(100 << 20, 350 << 20)
    assert Fork("main", 3, "x").foretell(shown, room) == "x1 … x3: 300 MiB of memory, 350 free"
    assert Fork("main", 4, "x").foretell(shown, room).endswith("350 free: 3 would fit")
    assert Fork("main", 1, "x").foretell(shown, None) == "x"
    assert "'b1' is taken" in Fork("main", 2, "b").foretell(shown, room)


def test_a_file_of_variants_is_a_command_a_line(tmp_path: Path) -> None:
    plain, told = tmp_path / "tries", tmp_path / "tries.jsonl"
    plain.write_text("make a\n\n  make b  \n")
    told.write_text('"make a"\n{"command": "make b", "note": "x"}\n')
    assert lines_of(plain) == lines_of(told) == ("make a", "make b")
    assert values_of((f"@{plain}", "make c", "@@x")) == ("make a", "make b", "make c", "@x")
    told.write_text('"make a"\n{"cmd": "make b"}\n')
    with pytest.raises(UsageError, match=r"tries\.jsonl, line 2: give a text"):
        lines_of(told)
    plain.write_bytes(b"\xff\n")
    with pytest.raises(UsageError, match="is no text"):
        lines_of(plain)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        lines_of(tmp_path / "none")
    with pytest.raises(UsageError, match="leads nowhere"):
        lines_of(Path("~no-such-user/tries"))
    plain.write_text("\n")
    with pytest.raises(UsageError, match="has no lines"):
        lines_of(plain)


def test_each_child_starts_its_own_command() -> None:
    async def scene() -> None:
        twins.begin()
        try:
            await twins.do("up")
            async with served(twins) as client:
                room = await asyncio.to_thread(client.room, "main")
            assert room.each_bytes >= CHILD_BYTES and room.free_bytes > 0
            same = await twins.do("fork", "main", 2, None, "run {i} {name}")
            each = await twins.do("fork", "main", 1, "v", None, ("one", "two {name}"))
            asked = {child.name: child.reason for child in (*same.children, *each.children)}
            wanted = {"b1": "run 1 b1", "b2": "run 2 b2", "v1": "one", "v2": "two v2"}
            assert asked == {name: f"there are no programs in this guest: {wanted[name]}" for name in wanted}
        finally:
            await twins.close()

    with twin_engine() as twins:
        asyncio.run(scene())
