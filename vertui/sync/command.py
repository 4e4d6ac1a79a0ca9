"""What people say to `sync`, and what it says to them."""

import json as json_text
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.codec import encode
from core.daemon.client import Client
from core.errors import NotFound, UsageError, VertuiError
from core.guest.scripts.ignored import Rules
from core.model import Branch
from core.names import meant, spelled
from core.verbs.up import Up
from vertui.output import say_json, warn, warn_left_out
from vertui.session import connect
from vertui.several import each
from vertui.sync.hearing import Tally
from vertui.sync.lanes import follow
from vertui.sync.once import Sync, rules_for
from vertui.text import size
from vertui.transfer import Place, parse

TELLING = threading.Lock()  # one line at a time


@dataclass(frozen=True)
class Synced:
    """What came of one run: files that were brought, their bytes, names that were removed, what was left out.

    With --watch `error` says why a branch does not follow for now.
    """

    to: str
    files: int = 0
    size_bytes: int = 0
    removed: int = 0
    left_out: tuple[str, ...] = ()
    error: str = ""

    @classmethod
    def of(cls, to: object, came: Tally | VertuiError) -> "Synced":
        """Of a run to a place."""
        if isinstance(came, VertuiError):
            return cls(str(to), error=str(came))
        return cls(str(to), came.files, came.size_bytes, came.removed, tuple(map(spelled, came.left_out)))


def run(
    texts: Sequence[str],
    moved: Callable[[int], None],
    *,
    watch: bool,
    ignore_from: str | None,
    delete: bool,
    json: bool,
) -> bool:
    """Carry `sync` out and say what came of it; whether something was left out."""
    source, *targets = map(parse, texts)
    _check(source, targets, watch=watch)
    if source.branch is None:
        directory = existing(source)
        sync = Sync(connect(), _rules(directory, ignore_from), delete, moved)
        return (
            _watch(sync, directory, targets, json=json)
            if watch
            else _push(sync, directory, targets, json=json)
        )
    sync = Sync(connect(), _rules(None, ignore_from), delete, moved)
    tally = sync.pull(source, Path(targets[0].path).absolute())
    return _say(targets[0], tally, json=json)


def up_from(client: Client, verb: Up, text: str) -> Branch:
    """`up --from DIR[:PATH]`: a machine is started, then the directory is brought into it."""
    directory, path = _split(text)
    branch = client.do(verb)
    try:
        tally = Sync(client).push(directory, Place(branch.name, path))
    except VertuiError as error:
        raise type(error)(f"{branch.name} is up, but nothing was brought along: {error}") from error
    warn_left_out(tally.left_out)
    return branch


def _split(text: str) -> tuple[Path, str]:
    """A directory, and where it is to be in a branch: a name with a colon in it may be all of it a directory's."""
    name, colon, path = text.rpartition(":")
    if not colon or Path(text).is_dir():
        directory = existing(Place(None, text))
        return directory, directory.name
    return existing(Place(None, name)), os.fsdecode(meant(path))


def existing(source: Place) -> Path:
    """A directory of this machine, by the way that leads to it."""
    path = Path(source.path)
    if path.is_dir():
        return path.resolve()
    if path.exists():
        raise UsageError(f"{source} is no directory: `vertui cp` brings a file")
    raise NotFound(f"there is no directory {source}")


def _check(source: Place, targets: Sequence[Place], *, watch: bool) -> None:
    if not targets:
        raise UsageError("sync brings SRC to DST: name both")
    remote = [target for target in targets if target.branch]
    if source.branch is None and len(remote) < len(targets):
        raise UsageError("one side of sync is BRANCH:PATH: for local directories use rsync itself")
    if source.branch and (remote or len(targets) > 1):
        raise UsageError(
            "what comes out of a branch goes to one directory here; between branches use `vertui cp`"
        )
    if source.branch and watch:
        raise UsageError("--watch follows a directory here: `vertui watch` tells what changes in a branch")


def _rules(directory: Path | None, ignore_from: str | None) -> Rules | None:
    return None if ignore_from is None else rules_for(directory, ignore_from)


def _push(sync: Sync, directory: Path, targets: Sequence[Place], *, json: bool) -> bool:
    named = {str(target): target for target in targets}
    left_out: list[bool] = []

    def one(name: str) -> None:
        left_out.append(_say(named[name], sync.push(directory, named[name]), json=json))

    each(list(named), one)
    return any(left_out)


def _watch(sync: Sync, directory: Path, targets: Sequence[Place], *, json: bool) -> bool:
    """Until Ctrl-C, or until no branch is left."""

    def tell(place: Place, came: Tally | VertuiError) -> None:
        with TELLING:
            if json:
                print(json_text.dumps(encode(Synced.of(place, came))), flush=True)
            elif isinstance(came, VertuiError):
                warn(f"{place}: {came}")
            else:
                print(_line(place, came), flush=True)
                warn_left_out(came.left_out)

    warn(f"following {spelled(os.fsencode(directory))}: Ctrl-C ends it")
    failure = follow(replace(sync, moved=lambda _: None), directory, targets, tell)
    if failure:
        raise failure
    return False


def _say(place: Place, tally: Tally, *, json: bool) -> bool:
    if json:
        say_json(Synced.of(place, tally))
    else:
        print(_line(place, tally))
        warn_left_out(tally.left_out)
    return bool(tally.left_out)


def _line(place: Place, tally: Tally) -> str:
    removed = f"; {tally.removed} removed" if tally.removed else ""
    return f"synced {tally.files} files, {size(tally.size_bytes)}, to {place}{removed}"
