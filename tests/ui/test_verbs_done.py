"""Each verb by its key and its dialog, on a whole engine of twins: what the button says is what was done."""

from collections.abc import Callable

from textual.pilot import Pilot

from core.checkpoints import CheckpointPolicy
from tests.twins.engine import Twins
from tests.twins.model import World
from tests.ui.engines import engine_shown
from tests.ui.looks import app_of, text_of, until
from vertui.actions import BY_ID, DERIVED

NOT_DONE = {"image_build": "it boots a machine of its own"}


def branch(world: World, name: str) -> object:
    return next((one for one in world.branches.values() if one.name == name), None)


def of(name: str, fact: str) -> Callable[[World], object]:
    return lambda world: getattr(branch(world, name), fact, None)


def trunk(world: World) -> str:
    return world.branches[world.trunk].name if world.trunk else ""


Step = tuple[str, tuple[str, ...], tuple[str, ...], Callable[[World], object], object]
STEPS: tuple[Step, ...] = (
    ("up", (), ("plus", "tab", *"other", "enter"), lambda world: branch(world, "other") is not None, True),
    ("fork", ("main",), ("f", "2", "tab", *"c", "enter"), lambda world: branch(world, "c2") is not None, True),
    ("commit", ("b1",), ("c", *"work", "enter"),
     lambda world: "work" in {one.message for one in world.commits.values()}, True),
    ("tag", ("b1~",), ("t", *"good", "enter"),
     lambda world: ("good",) in {one.tags for one in world.commits.values()}, True),
    ("restore", ("b1",), ("minus", *"b1~1", "enter"),
     lambda world: world.commits[str(of("b1", "head")(world))].message == "work", False),
    ("weigh", ("b1", "b2"), ("ampersand", *"300", "enter"),
     lambda world: [of(name, "weight")(world) for name in ("b1", "b2")], [300, 300]),
    ("policy", ("b1", "b2"), ("Y", "enter"),
     lambda world: [of(name, "policy")(world) for name in ("b1", "b2")],
     [CheckpointPolicy(every_s=600.0, idle_s=30.0)] * 2),
    ("score", ("b1", "b2"), ("S", *"0.5", "enter"),
     lambda world: [of(name, "score")(world) for name in ("b1", "b2")], [(0.5, ""), (0.5, "")]),
    ("rename", ("b2",), ("R", *"bee", "enter"), lambda world: branch(world, "bee") is not None, True),
    ("pause", ("b1", "bee"), ("H",), lambda world: [of(name, "state")(world) for name in ("b1", "bee")],
     ["paused", "paused"]),
    ("resume", ("b1", "bee"), ("r",), lambda world: [of(name, "state")(world) for name in ("b1", "bee")],
     ["running", "running"]),
    ("suspend", ("b1", "bee"), ("comma",), lambda world: [of(name, "state")(world) for name in ("b1", "bee")],
     ["suspended", "suspended"]),
    ("resume", ("b1", "bee"), ("r",), lambda world: [of(name, "state")(world) for name in ("b1", "bee")],
     ["running", "running"]),
    ("publish", ("b1",), ("O", "enter"), of("b1", "ports"), frozenset({"3000/tcp"})),
    ("unpublish", ("b1",), ("Q", "enter"), of("b1", "ports"), frozenset()),
    ("egress", ("b1", "bee"), ("E", "enter"), lambda world: [of(name, "egress")(world) for name in ("b1", "bee")],
     ["open", "open"]),
    ("link", ("b1", "bee"), ("L",), lambda world: len(world.links), 1),
    ("unlink", ("b1", "bee"), ("I",), lambda world: len(world.links), 0),
    ("prune", ("c1", "c2"), ("x", "right", "enter"), lambda world: branch(world, "c1") or branch(world, "c2"), None),
    ("promote", ("b1",), ("P", "right", "enter"), trunk, "b1"),
    ("undo", (), ("u", "right", "enter"), trunk, "main"),
    ("redo", (), ("U", "right", "enter"), trunk, "b1"),
)  # fmt: skip


async def choose(pilot: Pilot[None], refs: tuple[str, ...]) -> None:
    """Put the cursor on a node, or mark several; `b1~` is the head of b1."""
    main = app_of(pilot).main
    main.unmark()
    for ref in refs:
        name = ref.rstrip("~")
        await until(pilot, lambda name=name: any(one.name == name for one in main.shown.branches))  # type: ignore[misc]
        node = next(one for one in main.shown.branches if one.name == name)
        if name != ref:
            await until(pilot, lambda: any(one.message == "work" for one in main.shown.commits))
        found = next(one for one in main.shown.commits if one.message == "work") if name != ref else node
        assert main.tree_view.go_to_node(found)
        if len(refs) > 1:
            main.mark()
    if refs and len(refs) == 1 and not refs[0].endswith("~"):
        await until(pilot, lambda: main.selection.refs == refs)


async def test_each_does_what_its_button_says() -> None:
    assert {step[0] for step in STEPS} | {*NOT_DONE} == {*DERIVED}, "a new verb is tried here too"
    async with engine_shown() as (twins, pilot):
        for step in STEPS:
            await do(pilot, twins, step)


async def do(pilot: Pilot[None], twins: Twins, step: Step) -> None:
    verb, refs, (key, *answers), outcome, wanted = step
    app = app_of(pilot)
    await choose(pilot, refs)
    assert outcome(twins.world()) != wanted, f"{verb} has nothing to do"
    await until(pilot, lambda: BY_ID[verb].refuse(app.main.selection) is None)  # it heard of the step before
    await pilot.press(key)
    if answers:
        await until(pilot, lambda: app.screen is not app.main)
        await pilot.pause()
        button = next(str(one.label) for one in app.screen.query("Choice") if one.id in ("submit", "do"))  # type: ignore[attr-defined]
        assert button.lower() in (verb.replace("_", " "), "new machine"), button
        await pilot.press(*answers)
    await until(pilot, lambda: outcome(twins.world()) == wanted)
    await until(pilot, lambda: app.screen is app.main and not app.jobs)
    assert "✗" not in text_of(app).splitlines()[-2], text_of(app)
