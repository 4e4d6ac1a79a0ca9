"""The catalog: a digest for each row whatever wrote it, and catalogs of earlier formats."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
from msgspec.structs import replace

from core import catalog_rows
from core import catalog_schema as module
from core.catalog import Catalog
from core.catalog_values import Intent, commit_of
from core.checkpoints import CheckpointPolicy, Trigger
from core.commands import Scoring
from core.crash import CrashDisk
from core.errors import Damaged, NoRoom, NotFound
from core.inward import PortProtocol
from core.links import LinkRow
from core.model import Commit, CommitState, Origin
from core.ports import PortRow
from core.reach import NOWHERE, of_mode

QUIESCED = ", quiesced INTEGER NOT NULL DEFAULT 0"
EGRESS = ", egress TEXT NOT NULL DEFAULT '{}'"
ELEVENTH = module.SCHEMA.replace(", policy TEXT NOT NULL DEFAULT 'null'", "").replace(
    ",\n  checkpoint TEXT NOT NULL DEFAULT ''", ""
)
TENTH = ELEVENTH.replace(", idle_s INTEGER NOT NULL DEFAULT 0", "").replace(
    ",\n  crash TEXT NOT NULL DEFAULT 'null'", ""
)
NINTH = TENTH.replace(module.PAST, "")
EIGHTH = NINTH.replace(", scoring TEXT NOT NULL DEFAULT 'null'", "")
SEVENTH = EIGHTH.replace(",\n  weight INTEGER NOT NULL DEFAULT 100", "")
SIXTH = SEVENTH.replace(", egress TEXT NOT NULL DEFAULT 'null'", "")
FIFTH = SIXTH.replace(module.LINKS, "")
COMMIT = Commit("ab" * 20, "cd" * 20, (), "main", "base-1", "words", 1.5, CommitState.SEALED, True)


def test_every_write_keeps_its_digest(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    assert catalog.never_used
    catalog.put_commit(COMMIT)
    catalog.put_commit(COMMIT)
    catalog.mark_commit(COMMIT.id, 2.5)
    catalog.set_tags(COMMIT.id, ["known-good"])
    catalog.set_setting("trunk", "a")
    catalog.set_setting("trunk", "b")
    catalog.change_operation(catalog.begin("request", "commit", "", Intent(), 1.0), error="none")
    assert catalog.check() == [] and not catalog.never_used
    catalog.set_setting("trunk", None)
    catalog.delete_commit(COMMIT.id)
    assert catalog.check() == []
    catalog.close()


def test_a_number_beyond_what_is_kept_names_nothing(tmp_path: Path) -> None:
    """A client may ask for any."""
    catalog = Catalog(tmp_path / "catalog.db")
    begun = catalog.begin("request", "commit", "", Intent(), 1.0)
    for beyond in (2**63, -(2**80)):
        with pytest.raises(NotFound, match=f"no operation {beyond}"):
            catalog.operation(beyond)
    assert [row.id for row in catalog.operations(2**70)] == [begun]
    catalog.close()


def test_what_is_no_whole_character_is_kept_spelled_out(tmp_path: Path) -> None:
    """A user may type any bytes, and a client may send halves of surrogate pairs."""
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.put_commit(replace(COMMIT, message="a\udcff\ud800"))
    assert catalog.commits()[0].message == r"a\udcff\ud800" and catalog.check() == []
    catalog.close()


def test_a_row_changed_behind_its_back_is_named(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    catalog = Catalog(path)
    catalog.put_commit(COMMIT)
    catalog.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE commits SET message = 'sword'")
    database.close()
    catalog = Catalog(path)
    assert catalog.check() == [f"row {COMMIT.id} of commits"]
    catalog.close()


def test_a_catalog_of_format_1_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    first = FIFTH.replace(module.PORTS, "")
    for later in (", origin TEXT NOT NULL DEFAULT ''", f",\n  base TEXT{QUIESCED}{EGRESS}"):
        assert later in first
        first = first.replace(later, "")
    with sqlite3.connect(path) as database:
        database.executescript(f"{first} PRAGMA user_version = 1;")
        row = "'ab', 'cd', '[]', 'main', 'base', '', 1.0, 'sealed', 1, 0, 0, 0.0, 0.0, 0, '[]', NULL"
        database.execute(f"INSERT INTO commits VALUES ({row})")
    database.close()
    catalog = Catalog(path)
    assert [commit.origin for commit in catalog.commits()] == [Origin.HERE]
    assert catalog.check() == []
    catalog.close()


def test_a_catalog_of_format_2_tells_which_paused_branches_are_quiesced(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    second = FIFTH.replace(module.PORTS, "").replace(QUIESCED + EGRESS, "")
    with sqlite3.connect(path) as database:
        database.executescript(f"{second} PRAGMA user_version = 2;")
        rows = [
            ("frozen", "paused", ""),
            ("not", "paused", ""),
            ("full", "paused", "disk full"),
            ("up", "running", ""),
        ]
        for number, (id, state, reason) in enumerate(rows, 1):
            values = f"'{id}', '{id}', '{state}', '{reason}', 'base', 'ab', NULL, NULL, 1.0, {number}"
            database.execute(
                f"INSERT INTO branches VALUES ({values}, NULL, NULL, NULL, NULL, '', NULL, NULL)"
            )
        database.execute("INSERT INTO settings VALUES ('unfrozen:not', 'yes'), ('pool.spares', '1')")
    database.close()
    catalog = Catalog(path)
    assert [row.id for row in catalog.branches() if row.quiesced] == ["frozen"]
    assert catalog.setting("unfrozen:not") is None and catalog.setting("pool.spares") == "1"
    assert catalog.check() == []
    catalog.close()


def test_a_catalog_of_format_3_gets_a_place_for_ports(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with sqlite3.connect(path) as database:
        third = FIFTH.replace(module.PORTS, "").replace(EGRESS, "")
        database.executescript(f"{third} PRAGMA user_version = 3;")
    database.close()
    port = PortRow("p1", "b1", 3000, PortProtocol.TCP, "127.0.0.1", 8080, 1.5)
    for found in ([], [port]):
        catalog = Catalog(path)
        assert catalog.ports() == found and catalog.check() == []
        if not found:
            catalog.put_port(port)
        catalog.close()


def test_ports_of_a_branch_go_with_it_for_good(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    for number, branch in enumerate(("b1", "b2", "b1")):
        catalog.put_port(
            PortRow(f"p{number}", branch, 3000, PortProtocol.TCP, "127.0.0.1", 8080, float(number))
        )
    catalog.delete_branch("b1")
    assert [row.id for row in catalog.ports()] == ["p1"] and catalog.delete_port("p1").branch == "b2"
    with pytest.raises(NotFound):
        catalog.delete_port("p1")
    assert catalog.ports() == [] and catalog.check() == []
    catalog.close()


def test_branches_of_a_catalog_of_format_4_reach_nothing(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with sqlite3.connect(path) as database:
        database.executescript(f"{FIFTH.replace(EGRESS, '')} PRAGMA user_version = 4;")
        values = "'b', 'b', 'running', '', 'base', 'ab', NULL, NULL, 1.0, 1, NULL, NULL, NULL, NULL, '', NULL, NULL, 0"
        database.execute(f"INSERT INTO branches VALUES ({values})")
    database.close()
    catalog = Catalog(path)
    assert catalog.branch("b").egress == NOWHERE
    reach = of_mode("allow", ("example.org:443",))
    assert catalog.change_branch("b", egress=reach).egress == catalog.branches()[0].egress == reach
    assert catalog.check() == []
    catalog.close()


def test_a_catalog_of_format_5_gets_a_place_for_links(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with sqlite3.connect(path) as database:
        database.executescript(f"{FIFTH} PRAGMA user_version = 5;")
    database.close()
    link = LinkRow("l1", "b1", "b2", 1.5)
    for found in ([], [link]):
        catalog = Catalog(path)
        assert catalog.links() == found and catalog.check() == []
        if not found:
            catalog.put_link(link)
        catalog.close()


def test_links_of_a_branch_go_with_it_for_good(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    for number, (one, other) in enumerate((("b1", "b2"), ("b3", "b1"), ("b3", "b2"))):
        catalog.put_link(LinkRow(f"l{number}", one, other, float(number)))
    catalog.delete_branch("b1")
    assert [row.ends for row in catalog.links()] == [{"b2", "b3"}] and catalog.link("l2").one == "b3"
    assert catalog.delete_link("l2").other == "b2" and catalog.check() == []
    with pytest.raises(NotFound):
        catalog.delete_link("l2")
    catalog.close()


def test_images_of_a_catalog_of_format_6_say_nothing_of_egress(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    assert SIXTH != SEVENTH
    with sqlite3.connect(path) as database:
        database.executescript(f"{SIXTH} PRAGMA user_version = 6;")
        spec = '{"machine": "q", "cpu": "c", "accelerator": "tcg", "memory_bytes": 1, "vcpus": 1, "disk_bytes": 1}'
        database.execute(f"INSERT INTO images VALUES ('base-1', 'base', '{spec}', 'ab', 1.0)")
    database.close()
    catalog, reach = Catalog(path), of_mode("allow", ("example.org:443",))
    assert catalog.images()[0].egress is None
    catalog.set_image_egress("base-1", reach)
    assert catalog.images()[0].egress == reach and catalog.check() == []
    catalog.put_image(replace(catalog.images()[0], id="base-2", egress=None))
    assert [one.egress for one in catalog.images()] == [reach, reach]
    catalog.set_image_egress("base-2", None)
    assert catalog.images()[1].egress is None
    catalog.close()


def test_branches_of_a_catalog_of_format_7_weigh_what_is_usual_and_are_to_be_scored_by_nothing(
    tmp_path: Path,
) -> None:
    """Nor has any of their machines left a disk."""
    path = tmp_path / "catalog.db"
    assert SEVENTH != EIGHTH != NINTH != TENTH != ELEVENTH
    with sqlite3.connect(path) as database:
        database.executescript(f"{SEVENTH} PRAGMA user_version = 7;")
        values = "'b', 'b', 'running', '', 'base', 'ab', NULL, NULL, 1.0, 1, NULL, NULL, NULL, NULL, '', NULL, NULL, 0"
        database.execute(f"INSERT INTO branches VALUES ({values}, '{{}}')")
    database.close()
    catalog = Catalog(path)
    assert catalog.branch("b").weight == 100 and catalog.change_branch("b", weight=300).weight == 300
    scoring = Scoring(7, "./measure")
    assert catalog.branch("b").scoring is None
    assert catalog.change_branch("b", scoring=scoring).scoring == catalog.branch("b").scoring == scoring
    crash = CrashDisk(1.5, "ab", ("l1", "l2"), "cd", 4096)
    assert catalog.branch("b").crash is None
    assert catalog.change_branch("b", crash=crash).crash == catalog.branch("b").crash == crash
    assert catalog.branches()[0].weight == 300 and catalog.check() == []
    catalog.close()


def test_a_catalog_of_format_11_has_commits_that_somebody_made_and_no_policies(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    assert ELEVENTH != module.SCHEMA
    with sqlite3.connect(path) as database:
        database.executescript(f"{ELEVENTH} PRAGMA user_version = 11;")
        values = "'b', 'b', 'running', '', 'base', 'ab', NULL, NULL, 1.0, 1, NULL, NULL, NULL, NULL, '', NULL, NULL, 0"
        database.execute(f"INSERT INTO branches VALUES ({values}, '{{}}', 100, 'null', 0, 'null')")
        values = "'ab', 's', '[]', 'b', 'base', '', 1.0, 'sealed', 1, 0, 0, 0, 0, 0, '[]', NULL, ''"
        database.execute(f"INSERT INTO commits VALUES ({values})")
    database.close()
    catalog, policy = Catalog(path), CheckpointPolicy(exec=True, idle_s=2.5)
    assert catalog.commit("ab").checkpoint is Trigger.NONE and catalog.branch("b").policy is None
    assert catalog.change_branch("b", policy=policy).policy == catalog.branch("b").policy == policy
    assert catalog.check() == []
    catalog.close()


def test_branches_of_a_catalog_of_format_10_are_never_suspended_by_themselves(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    assert TENTH != ELEVENTH
    with sqlite3.connect(path) as database:
        database.executescript(f"{TENTH} PRAGMA user_version = 10;")
        values = "'b', 'b', 'running', '', 'base', 'ab', NULL, NULL, 1.0, 1, NULL, NULL, NULL, NULL, '', NULL, NULL, 0"
        database.execute(f"INSERT INTO branches VALUES ({values}, '{{}}', 100, 'null')")
    database.close()
    catalog = Catalog(path)
    assert catalog.branch("b").idle_s == 0 and catalog.change_branch("b", idle_s=300).idle_s == 300
    assert catalog.check() == []
    catalog.close()


def test_what_an_operation_of_format_9_ended_at_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    assert NINTH != module.SCHEMA
    with sqlite3.connect(path) as database:
        database.executescript(f"{NINTH} PRAGMA user_version = 9;")
        values = "'r1', 'commit', '', 'done', 0, 1.0, 2.0, '', '{}', '{}', 'null'"
        database.execute(f"INSERT INTO operations VALUES (1, {values})")
    database.close()
    catalog = Catalog(path)
    assert catalog.moment == 0
    catalog.put_commit(COMMIT)
    catalog.change_operation(catalog.begin("r2", "commit", "", Intent(), 3.0), finished=4.0)
    with closing(catalog.past()) as reader:
        assert reader.unknown() == 1 and (reader.before(2) or {})["id"] == 2 and reader.before(1) is None
    assert catalog.moment == 1 and catalog.check() == []
    catalog.close()


def test_what_a_row_was_is_kept_to_the_last_bit(tmp_path: Path) -> None:
    """Also of one that is gone for good; what came and went in one transaction, or was written as it was, is not."""
    catalog = Catalog(tmp_path / "catalog.db")
    moments = [catalog.moment]
    made = replace(COMMIT, created=1750000000.1234567, message='"é\udcff', tags=("a",))
    changes: tuple[Callable[[], object], ...] = (
        lambda: catalog.put_commit(made), lambda: catalog.put_commit(made),
        lambda: catalog.mark_commit(made.id, 2.5), lambda: catalog.delete_commit(made.id),
        lambda: catalog.set_setting("trunk", "b1"), lambda: catalog.set_setting("trunk", "b2"),
        lambda: catalog.set_setting("other", "x"),
    )  # fmt: skip
    for change in changes:
        change()
        moments.append(catalog.moment)
    with catalog.transaction():
        catalog.put_commit(made)
        catalog.delete_commit(made.id)
    assert moments == [0, 1, 1, 2, 3, 4, 5, 5] and catalog.moment == 5
    with closing(catalog.past()) as reader:
        found = [reader.rows(moment, 5) for moment in range(6)]
    shown, commit, trunk = commit_of, ("commits", made.id), ("settings", "trunk")
    kept = replace(made, message='"é\\udcff')
    assert found[0] == {commit: None, trunk: None}
    assert shown(found[1][commit]) == shown(found[2][commit]) == kept  # type: ignore[arg-type]
    assert [found[place][commit]["deleted"] for place in (1, 2)] == [None, 2.5]  # type: ignore[index]
    assert found[3] == {trunk: None} and found[4] == {trunk: {"key": "trunk", "value": "b1"}}
    assert found[5] == {}
    catalog.close()


def test_what_a_full_disk_took_back_is_no_moment(tmp_path: Path) -> None:
    """A number of it would be given again by the next daemon, to what was done later."""
    catalog = Catalog(tmp_path / "catalog.db")
    catalog.put_commit(replace(COMMIT, message="x" * 100_000))
    [pages] = catalog._db.execute("PRAGMA page_count").fetchone()
    for most, moment in ((pages, 1), (2 * pages, 2)):
        catalog._db.execute(f"PRAGMA max_page_count = {most}")
        with pytest.raises(NoRoom) if moment == 1 else nullcontext():
            catalog.mark_commit(COMMIT.id, 2.5)  # to keep what it was takes room
        assert catalog.moment == moment
    catalog.close()


def test_children_of_a_commit_gone_for_good_hang_on_its_parents(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    ids = [f"{number:02x}" * 20 for number in range(5)]
    parents: list[tuple[str, ...]] = [(), (ids[0],), (ids[1],), (ids[2], ids[0]), (ids[3],)]
    for number, (commit, of) in enumerate(zip(ids, parents, strict=True)):
        catalog.put_commit(replace(COMMIT, id=commit, parents=of, created=float(number)))
    catalog.mark_commit(ids[4], 1.0)
    for commit in (ids[1], ids[3], ids[2]):
        catalog.delete_commit(commit)
    assert [(commit.id, commit.parents) for commit in catalog.commits()] == [(ids[0], ())]
    assert [commit.parents for commit in catalog.commits(deleted=True)] == [(ids[0],)]
    assert catalog.check() == []


def test_another_thread_is_refused(tmp_path: Path) -> None:
    """It would see half of a transaction, and two threads on one connection may wait for each other for ever."""
    catalog = Catalog(tmp_path / "catalog.db")
    with ThreadPoolExecutor(1) as threads, pytest.raises(Damaged, match="thread"):
        threads.submit(catalog.images).result()
    catalog.close()


def test_what_a_transaction_takes_back_has_no_digest(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    with pytest.raises(NotFound), catalog.transaction():
        catalog.put_commit(COMMIT)
        catalog.commit("no such commit")
    assert catalog.commits() == [] and catalog.check() == []
    catalog.put_commit(COMMIT)
    assert catalog.commits() == [COMMIT] and catalog.check() == []
    catalog.close()


def test_digests_of_an_earlier_format_are_made_anew(tmp_path: Path) -> None:
    """A row that has gained a column is not one that was changed behind our back."""
    path = tmp_path / "catalog.db"
    with sqlite3.connect(path) as database:
        database.executescript(f"{EIGHTH} PRAGMA user_version = 8;")
        database.execute("INSERT INTO settings VALUES ('trunk', 'b1')")
        database.execute(catalog_rows.DIGESTS)
        database.execute("INSERT INTO digests VALUES ('settings', 'trunk', 'of other columns')")
    database.close()
    catalog = Catalog(path)
    assert catalog.check() == [] and catalog.setting("trunk") == "b1"
    catalog.close()
