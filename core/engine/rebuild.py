"""The catalog made again: commits from their manifests, images from golden commits, branches from commits' labels.

What no manifest says is gone: the trunk, branches that never committed, tags, scores, published ports, the operation
log and settings. What was in the trash is outside it again. Journals were those of branches by their ids, which are
other ones now: they are set aside.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from core.catalog_values import BranchRow
from core.engine.context import Engine, new_id
from core.engine.transfer import restored_row
from core.errors import Damaged, NotFound, UsageError
from core.model import BranchState, Commit, Image, check_name
from core.progress import Told, nobody
from core.store.protocol import PageStore
from core.store.values import Manifest

REASON = "found again by its commits; its machine is gone"


@dataclass(frozen=True)
class FoundManifests:
    """All that can be read, oldest first, and a line for each commit that cannot."""

    manifests: tuple[Manifest, ...]
    left_out: tuple[str, ...]


def find_manifests(store: PageStore, told: Told = nobody) -> FoundManifests:
    """Read the manifests of all commits there are; `told` hears of each. Blocks."""
    found, left_out, commits = [], [], store.commits()
    for done, commit in enumerate(commits, 1):
        try:
            found.append(store.manifest(commit))
        except (Damaged, NotFound) as error:
            left_out.append(f"commit {commit[:12]} was left out: {error}")
        told(done, len(commits))
    return FoundManifests(tuple(sorted(found, key=lambda manifest: manifest.label.created)), tuple(left_out))


def rebuild_catalog(engine: Engine, found: FoundManifests) -> list[str]:
    """Rows for all that is on disk and has none, in one transaction; a line for each thing found or left out."""
    catalog, there = engine.catalog, set(engine.store.commits())
    lines, manifests = list(found.left_out), [one for one in found.manifests if one.id in there]
    known = {commit.id for deleted in (False, True) for commit in catalog.commits(deleted=deleted)}
    added = [manifest for manifest in manifests if manifest.id not in known]
    with catalog.transaction():
        for manifest in added:
            catalog.put_commit(restored_row(engine, manifest))
        lines.append(f"{len(added)} commits were found again")
        lines += [_put_image(engine, manifest) for manifest in _goldens(engine, manifests)]
        lines += _put_branches(engine, {manifest.id for manifest in added if not manifest.foreign})
    if aside := engine.journals.set_aside():
        lines.append(f"journals that no branch has any more lie in {engine.home.journal}/aside: {aside}")
    return lines


def _goldens(engine: Engine, manifests: Sequence[Manifest]) -> list[Manifest]:
    """The golden commits of images whose files are there and that have no row, the newest of each, oldest first."""
    there = {path.name for path in engine.home.images.iterdir() if not path.name.startswith(".")}
    missing = there - {image.id for image in engine.catalog.images()}
    own = [manifest for manifest in manifests if not (manifest.parents or manifest.foreign or manifest.base)]
    newest = {manifest.image: manifest for manifest in own if manifest.image in missing}
    return sorted(newest.values(), key=lambda manifest: manifest.label.created)


def _put_image(engine: Engine, golden: Manifest) -> str:
    name = golden.image.rpartition("-")[0] or golden.image
    engine.catalog.put_image(Image(golden.image, name, golden.spec, golden.id, golden.label.created))
    return f"image {name} ({golden.image}) was found again"


def _put_branches(engine: Engine, added: set[str]) -> list[str]:
    """Write a stopped branch for each branch name in commits' labels, with the newest of these commits as its head; a
    line for each.
    """
    commits = engine.catalog.commits()
    images = {image.id for image in engine.catalog.images()}
    by_name: dict[str, list[Commit]] = {}
    for commit in commits:
        if commit.id in added and commit.branch and commit.image in images:
            by_name.setdefault(commit.branch, []).append(commit)
    by_id, ids, lines = {commit.id: commit for commit in commits}, dict[str, str](), []
    for name, mine in by_name.items():
        if engine.catalog.named(name) or not _legal(name):
            lines.append(
                f"commits of {name} were found, and no branch was made: that name is taken or no name"
            )
            continue
        origin = next(iter(mine[0].parents), None)
        parent_branch = ids.get(by_id[origin].branch) if origin in by_id else None
        row = _row(engine, name, mine[-1], origin, parent_branch)
        ids[name] = row.id
        engine.catalog.put_branch(row)
        lines.append(f"branch {name} is stopped at {row.head[:12]}: `vertui resume {name}` starts it there")
    return lines


def _row(engine: Engine, name: str, head: Commit, parent: str | None, parent_branch: str | None) -> BranchRow:
    return BranchRow(
        new_id(), name, BranchState.STOPPED, REASON, head.image, head.id, parent, parent_branch, time.time(),
        engine.free_number(),
    )  # fmt: skip


def _legal(name: str) -> bool:
    try:
        return check_name(name) == name
    except UsageError:
        return False
