"""The k-th write fails, for every k: nothing changed, and with room again everything goes on."""

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from core.errors import NoRoom, VertuiError
from core.files import Buffer, Files, disk_error
from core.store.packs import PackStore
from core.store.values import MEMORY
from tests.conftest import full
from tests.store.states import Bench, content


class FailingFiles(Files):
    """The k-th call fails, and every one after it until `heal`; a failing append writes a part first."""

    def __init__(self, number: int) -> None:
        self.left, self.number, self.broken, self.calls = -1, number, False, 0

    def arm(self, k: int) -> None:
        """Fail from the k-th call on."""
        self.left = k

    def heal(self) -> None:
        """Fail no more."""
        self.left, self.broken = -1, False

    def append(self, path: Path, data: Buffer) -> None:
        if self._fails():
            super().append(path, memoryview(data)[: len(data) // 2])
            raise disk_error(OSError(self.number, "as the test asks"), path)
        super().append(path, data)

    def fsync(self, path: Path) -> None:
        self._check(path)
        super().fsync(path)

    def rename(self, source: Path, target: Path) -> None:
        self._check(target)
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        super().unlink(path)  # a full disk can still forget; a broken one is what a crash is

    def _check(self, path: Path) -> None:
        if self._fails():
            raise disk_error(OSError(self.number, "as the test asks"), path)

    def _fails(self) -> bool:
        self.calls += 1
        self.left -= 1
        self.broken |= self.left == 0
        return self.broken


def export_elsewhere(home: Path, target: Path) -> str:
    """A commit of another home in a file."""
    bench = Bench(home)
    commit = bench.commit({page: content(900 + page) for page in range(30)}, {4: content(990)})
    bench.store.export(commit, target)
    bench.store.close()
    return commit


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("verb", ["put", "delete", "gc", "compact", "export", "import", "rebuild"])
def test_a_write_that_fails(tmp_path: Path, number: int, verb: str) -> None:
    for k in range(1 if full() else 2, 40, 1 if full() else 3):
        files = FailingFiles(number)
        bench = Bench(tmp_path / f"home{k}", files)
        golden = bench.commit({page: content(page) for page in range(1, 20)}, {1: content(7)})
        doomed = bench.commit({page: content(100 + page) for page in range(40)}, {}, golden)
        child = bench.commit({7: content(8)}, {3: content(9)}, doomed)
        bench.commit({page: content(200 + page) for page in range(40)}, {}, golden)
        sparse = bench.commit({7: content(207)}, {}, golden)
        bench.forget(next(c for c in bench.states if c not in (golden, doomed, child, sparse)))
        if verb == "compact":
            bench.store.gc(bench.states)
        captured, state, parents = bench.capture({50: content(51), 51: content(52)}, {9: content(53)}, child)
        made = bench.store.identify(captured, parents)
        store, target, carried = bench.store, tmp_path / f"export{k}", tmp_path / f"carried{k}"
        foreign = export_elsewhere(tmp_path / f"elsewhere{k}", carried)
        acts: dict[str, Callable[[], object]] = {
            "put": partial(store.put, captured, made),
            "delete": partial(store.delete, doomed),
            "gc": partial(store.gc, frozenset(bench.states)),
            "compact": store.compact,
            "export": partial(store.export, child, target),
            "import": partial(store.import_, carried),
            "rebuild": store.rebuild,
        }
        files.arm(k)
        try:
            acts[verb]()
        except VertuiError as error:
            assert isinstance(error, NoRoom) == (number == errno.ENOSPC)
        else:
            assert not files.broken, "a failure was passed over"
            break
        files.heal()
        for seen in (store, PackStore(bench.home)):
            assert seen.check(100) == []
            assert all(bench.reads(commit, seen) for commit in bench.states)
            assert not {made.id, foreign} & set(seen.commits())
        acts[verb]()
        if verb == "put":
            bench.states[made.id] = state
        if verb == "import":
            assert store.reader.read(foreign, MEMORY, 3, 1) == content(903)
            store.delete(foreign)
        if verb == "delete":
            del bench.states[doomed]
        bench.commit({60: content(61)}, {}, golden)
        bench.store.gc(bench.states)
        again = PackStore(bench.home)
        assert again.check(100) == [] and all(bench.reads(commit, again) for commit in bench.states)
        if not full() and k > 4 and number == errno.EIO:
            break
    else:
        pytest.fail("it never got through")
