"""Score, tag, rename, an image's egress, when to suspend: what people write on branches and commits."""

from core.catalog_values import BranchRow
from core.engine.change import Change, Judgement
from core.engine.changes import apply
from core.engine.context import Engine
from core.engine.operations import operation
from core.journal.entry import EntryKind
from core.model import Image, Operation
from core.reach import Reach, in_words


async def score(engine: Engine, request_id: str, name: str, value: float, note: str) -> BranchRow:
    """Give a branch a score. On failure nothing changed."""
    row = engine.branch(name)
    change = Change(scores={row.id: Judgement(value, note)})
    await changed(engine, request_id, "score", f"score {row.name} {value:g}", change)
    engine.journals.note(row.id, EntryKind.SCORE, f"{value:g} {note}".strip(), row.head)
    return engine.catalog.branch(row.id)


async def rename(engine: Engine, request_id: str, name: str, new: str) -> BranchRow:
    """Give a branch another, free name. Its hostname stays: the guest is not touched."""
    row = engine.branch(name)
    await changed(engine, request_id, "rename", f"rename {row.name} to {new}", Change(names={row.id: new}))
    return engine.catalog.branch(row.id)


async def suspend_when_idle(engine: Engine, request_id: str, name: str, idle_s: int) -> BranchRow:
    """Have a branch suspended whenever nothing has gone on in it for so long; 0 for never."""
    row = engine.branch(name)
    when = f"when idle for {idle_s} s" if idle_s else "never by itself"
    change = Change(idle={row.id: idle_s})
    await changed(engine, request_id, "suspend", f"suspend {row.name} {when}", change)
    return engine.catalog.branch(row.id)


async def tag(engine: Engine, request_id: str, ref: str, name: str) -> Operation:
    """Name a commit; the name is a REF from then on, and keeps the commit from being pruned with a branch."""
    commit = engine.catalog.commit(engine.resolve(ref).commit)
    change = Change(tags={commit.id: (*commit.tags, name)})
    return await changed(engine, request_id, "tag", f"tag {commit.id[:12]} {name}", change)


async def image_egress(engine: Engine, request_id: str, name: str, reach: Reach | None) -> Image:
    """Say what branches of an image may reach at first; None for what the home says. On failure nothing changed."""
    image = engine.image(name)
    said = "default" if reach is None else in_words(reach)
    async with (
        engine.verbs.changing,
        operation(engine, request_id, "image egress", f"{image.name}: egress {said}"),
    ):
        engine.catalog.set_image_egress(image.id, reach)
    engine.events.publish("image", image.name, f"image {image.name}: egress {said}")
    return engine.image(image.id)


async def changed(engine: Engine, request_id: str, verb: str, summary: str, change: Change) -> Operation:
    """Make a change as one operation of the log, which undo takes back."""
    async with engine.verbs.changing, operation(engine, request_id, verb, summary) as record:
        record.inverse = await apply(engine, change)
    return engine.catalog.operation(record.id).shown()
