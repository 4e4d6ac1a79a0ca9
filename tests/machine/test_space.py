"""What a home takes beside its commits is counted, and what nothing needs of it can go."""

from pathlib import Path

from msgspec.structs import replace

from core.catalog import Catalog
from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.home import Home
from core.log import KEPT_BYTES
from tests.machine.test_cli import succeeded

MIB = 1 << 20


def filled(path: Path, size: int) -> None:
    """A file that takes room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"something\n" * (size // 10))


def test_gc_frees_what_is_beside_the_commits(idle_home: Home) -> None:
    catalog = Catalog(idle_home.catalog)
    [image], [golden] = catalog.images(), catalog.commits()
    for name, tags in (("base-old", ()), ("base-tagged", ("kept",))):
        commit = replace(golden, id=name.encode().hex().ljust(40, "0"), image=name, tags=tags)
        with catalog.transaction():
            catalog.put_commit(commit)
            catalog.put_image(replace(image, id=name, name=name, golden=commit.id))
        filled(idle_home.images / name / "root.raw", MIB)
    catalog.close()
    filled(idle_home.cache / "base-0" / "rootfs.tar", 5 * MIB)
    filled(idle_home.cache / "lock", 0)
    filled(idle_home.log / "machines.log", 3 * MIB)
    ensure_daemon(idle_home)
    client = Client(idle_home)

    before = client.store_space()
    assert before.cache_bytes >= 5 * MIB and before.logs_bytes >= 3 * MIB
    assert before.reserve_bytes >= 16 * MIB and before.images_bytes > 2 * MIB
    assert "cache 5." in succeeded("store", "du").splitlines()[-1]
    plan = client.plan_store_gc(cache=True)
    assert plan.frees_bytes >= 8 * MIB
    assert [line.split(":")[0] for line in plan.lines] == [
        "image base-old goes", "the older part of logs goes", "the cache goes",
    ]  # fmt: skip

    assert client.store_gc() >= 3 * MIB
    after = client.store_space()
    assert after.cache_bytes == before.cache_bytes and after.logs_bytes < 2 * KEPT_BYTES
    assert [kept.id for kept in client.tree().images] == [image.id, "base-tagged"]
    assert not (idle_home.images / "base-old").exists()
    assert "freed 5." in succeeded("store", "gc", "--cache")
    assert client.store_space().cache_bytes < MIB
