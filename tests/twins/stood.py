"""The tree as it stood when each operation ended, looked at then: what the past must tell of it."""

from msgspec.structs import replace

from core.daemon.mirror import as_it_was
from core.engine import links, past
from core.engine.context import Engine
from core.errors import NotFound
from core.looking_back import Stride, Then
from core.model import Tree


class Stood:
    """Looks at an engine's tree whenever an operation ends."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.trees: dict[int, Tree] = {}
        self._early = self.now()  # a listener's that has heard nothing since
        engine.catalog.on_written = self._look

    def now(self) -> Tree:
        """The tree but for what is only known of machines while they run."""
        catalog, linked = self._engine.catalog, links.shown(self._engine)
        trunk = catalog.setting("trunk")
        branches = tuple(
            replace(
                row.shown(), trunk=row.id == trunk, links=linked.get(row.id, ()),
                parent_branch=catalog.name_of(row.parent_branch),
            )
            for row in catalog.branches()
        )  # fmt: skip
        ports = tuple(replace(port, reason="") for port in self._engine.tasks.ports.shown())
        images, name = tuple(catalog.images()), next((one.name for one in branches if one.trunk), None)
        return Tree(branches, self._engine.commits(), images, name, ports=ports, moment=catalog.moment)

    def _look(self, written: set[tuple[str, str]]) -> None:
        for table, key in written:
            number = int(key) if table == "operations" else 0
            if number and number not in self.trees and self._engine.catalog.operation(number).finished:
                self.trees[number] = self.now()
                self._early = self._early if number % 7 else self.trees[number]

    async def check(self) -> None:
        """Each is told as it stood: by itself, walked to from now back to the first, and on again."""
        now = self.now()
        for operation, stood in [*self.trees.items()][:: max(1, len(self.trees) // 3)]:
            for held in (now, self._early):
                told = await past.at(self._engine, operation, held.moment, exact=False)
                self._same(as_it_was(held, told), stood, operation)
        back = await self._walk(now, Stride.BACK, exact=False)
        assert [then.steps for then in back] == [*range(1, len(back) + 1)]
        seen = {tree.moment for tree in self.trees.values() if tree.moment < now.moment}
        assert {then.moment for then in back} == seen
        if back and (last := back[-1].operation) is not None:
            on = await self._walk(self.trees[last.id], Stride.ON, exact=True)
            assert [then.operation for then in on] == [then.operation for then in back[-2::-1]]

    async def _walk(self, tree: Tree, stride: Stride, *, exact: bool) -> list[Then]:
        """All there are that way."""
        seen = list[Then]()
        while (then := await self._step(stride, tree, exact)) is not None and then.operation is not None:
            tree, exact = as_it_was(tree, then), True
            self._same(tree, self.trees[then.operation.id], then.operation.id)
            seen.append(then)
        return seen

    async def _step(self, stride: Stride, held: Tree, exact: bool) -> Then | None:
        try:
            return await past.step(self._engine, stride, held.moment, exact=exact)
        except NotFound:
            return None

    def _same(self, told: Tree, stood: Tree, operation: int) -> None:
        told = replace(told, sequence=0, moment=stood.moment)
        assert told == stood, f"operation {operation}: {[*_unlike(told, stood)]}"


def _unlike(told: Tree, stood: Tree) -> list[tuple[object, object]]:
    """What is not the same, side by side."""
    parts: list[tuple[object, object]] = [
        (told.trunk, stood.trunk),
        (told.ports, stood.ports),
        (told.images, stood.images),
    ]
    for mine, theirs in ((told.branches, stood.branches), (told.commits, stood.commits)):
        a, b = {one.id: one for one in mine}, {one.id: one for one in theirs}
        parts += [(a.get(id), b.get(id)) for id in a.keys() | b.keys()]
    return [(mine, theirs) for mine, theirs in parts if mine != theirs]
