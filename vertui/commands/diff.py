"""What differs between states, and carrying files out of them and between them."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from core.daemon.client import Client
from core.errors import UsageError
from core.names import spelled
from core.tar import Pieces
from core.verbs.apply import Apply
from core.verbs.base import Kind
from core.verbs.shown import Shown
from vertui import differences
from vertui.completion import offer_names
from vertui.options import AnyRef, Json, argument, new_app
from vertui.output import LEFT_OUT, say_json, warn, warn_left_out
from vertui.patches import without_remarks
from vertui.session import connect
from vertui.text import counted, printable
from vertui.transfer import Copied
from vertui.unpack import unpack_tree

app = new_app()

Paths = Annotated[
    list[str] | None, typer.Argument(metavar="[PATH...]", help="Only these files, or what is below them.")
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore", metavar="GLOB", help="Leave out names, or paths if it has a slash; may be repeated."
    ),
]


@app.command()
def diff(
    refs: Annotated[list[str], argument("A [B] [PATH...]", "States, then absolute paths.", Kind.REF)],
    stat: Annotated[bool, typer.Option("--stat", help="Lines added and removed in each file.")] = False,
    patch: Annotated[bool, typer.Option("--patch", "-p", help="Print a unified text diff.")] = False,
    name_only: Annotated[bool, typer.Option("--name-only", help="Print paths alone.")] = False,
    json: Json = False,
    multi: Annotated[
        bool, typer.Option("--multi", help="Compare all REFs with the commit they come from: a matrix.")
    ] = False,
    base: Annotated[
        str,
        typer.Option(
            "--base",
            metavar="REF",
            help="With --multi: compare with this state.",
            show_default=False,
            autocompletion=offer_names(Kind.REF),
        ),
    ] = "",
    ignore: Ignore = None,
    mtime: Annotated[bool, typer.Option("--mtime", help="Also files that differ in time alone.")] = False,
    processes: Annotated[
        bool, typer.Option("--processes", help="Started and ended; of running branches only.")
    ] = False,
    ports: Annotated[
        bool, typer.Option("--ports", help="Listening, opened and closed; of running branches only.")
    ] = False,
    connections: Annotated[
        bool, typer.Option("--connections", help="Opened and closed; of running branches only.")
    ] = False,
    packages: Annotated[bool, typer.Option("--packages", help="Debian packages.")] = False,
    memory: Annotated[bool, typer.Option("--memory", help="Changed pages of memory as a heat map.")] = False,
    fallback: Annotated[
        bool,
        typer.Option(
            "--fallback/--no-fallback", help="Ask the guests when a disk cannot be read from outside."
        ),
    ] = True,
) -> None:
    """List the files that differ from A to B: A added, D removed, M modified, R renamed.

    With one REF: a branch since the commit it was forked from, a commit since its parent, BRANCH@crash (what a
    machine had written when it died) since the commit it comes from. A...B: what B did since the commit both come
    from. With --multi equal numbers in a row are the same change. Running branches are compared
    as they are now, unsynced writes included; commits have files, packages and memory, but no list of processes,
    ports or connections: the exit status is 3 where these are asked of one.

    \b
    Examples:
      vertui diff b1
      vertui diff main b2 /root/project --patch
      vertui diff main@crash
      vertui diff main...b2 --stat --ignore '*.pyc'
      vertui diff --multi b1 b2 b3 b4
      vertui diff --multi b2 b3 b4 --base b1
    """
    forms = {"stat": stat, "patch": patch, "name-only": name_only, "multi": multi}
    living = {"processes": processes, "ports": ports, "connections": connections}
    more = {**living, "packages": packages, "memory": memory}
    if base and not multi:
        raise UsageError("--base goes with --multi: to compare two states name both")
    _check_asked(forms, json=json, mtime=mtime, fallback=fallback, more=any(more.values()))
    named, paths = ([ref for ref in refs if ref.startswith("/") is is_path] for is_path in (False, True))
    client = connect()
    if patch:
        differences.say_patch(client.patch(*_ends(client, named), path=paths, ignore=ignore or ()))
        return
    if multi:
        siblings = client.diff_siblings(named, path=paths, ignore=ignore or (), mtime=mtime, base=base)
        if json:
            say_json(siblings)
        else:
            differences.say_matrix(siblings, base)
        return
    a, b = _ends(client, named)
    asked = {"mtime": mtime, "lines": stat, "fallback": fallback, **more}
    from vertui.progress import tallied

    with tallied(client) as key:
        told = client.diff(a, b, key, path=paths, ignore=ignore or (), **asked)
    say = differences.say_stat if stat else differences.say_names if name_only else differences.say_files
    if json:
        say_json(told)
    else:
        say(told)
        differences.say_more(told)
    if any(wanted and getattr(told, name) is None for name, wanted in living.items()):
        raise typer.Exit(LEFT_OUT)


@app.command()
def patch(
    branch: AnyRef,
    paths: Paths = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="REF",
            help="The state the patch is for.",
            show_default="where it was forked",
            autocompletion=offer_names(Kind.REF),
        ),
    ] = None,
) -> None:
    """Print what a branch did as a patch that `git apply` takes, binary files included.

    Paths start at the root directory: below /root/project `git apply -p3` makes them relative. What a patch cannot
    carry (owners, modes but the owner's right to execute, devices, empty directories, attributes, flags) is listed on
    standard error, and the exit status is 3.

    \b
    Examples:
      vertui patch b2 /root/project | git apply -p3
      vertui patch b2 --base main > b2.patch
    """
    client = connect()
    pieces = client.patch_pieces(base or origin(client, branch), branch, path=paths or [], whole=True)
    remarks, kept = 0, bytearray()
    sys.stdout.flush()
    for lines, left_out in without_remarks(pieces):
        for remark in left_out:
            remarks += 1
            warn(f"not in the patch: {printable(remark)}")
        if sys.stdout.isatty():  # made safe there, which needs each file whole; anywhere else it is exact
            kept += lines
        else:
            sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()
    differences.say_patch(bytes(kept))
    if remarks:
        raise typer.Exit(LEFT_OUT)


@app.command("export-files")
def export_files(
    branch: AnyRef,
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A file or directory in it.", show_default=False)
    ],
    target: Annotated[
        str, typer.Argument(metavar="DIR|-", help="Where to; - writes a tar stream.", show_default=False)
    ],
    json: Json = False,
) -> None:
    """Write a file or tree of a branch or commit into a directory, or as a tar stream. No machine is needed.

    A tar stream has everything but sockets, chattr flags and project ids: owners, modes, times, devices, links,
    attributes, holes. Into a directory come files, directories and links that stay inside it, owned by you; what is
    left out is named, and the exit status is 3.

    \b
    Examples:
      vertui export-files b2 /root/project ./project
      vertui export-files b2 / - | zstd > b2.tar.zst
    """
    if not target:
        raise UsageError("an empty path names nothing: . is the directory you are in")
    if target == "-" and json:
        raise UsageError("a tar stream takes all of standard output: --json goes with a directory")
    if target == "-" and sys.stdout.isatty():
        raise UsageError("a tar stream is not for a terminal: give it to a pipe or a file")
    pieces = connect().files(branch, path, attributes=target == "-")
    if target == "-":
        sys.stdout.flush()
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    done = unpack_tree(Pieces(pieces), Path(target))
    place = spelled(os.fsencode(target))
    if json:
        say_json(Copied.of(done, place))
    else:
        print(f"{counted(done.files, 'file')} in {place}")
        warn_left_out(done.skipped, "; a tar stream has them")
    if done.skipped:
        raise typer.Exit(LEFT_OUT)


@app.command()
def apply(
    source: Annotated[str, argument("FROM", "Any REF.", Kind.REF)],
    target: Annotated[str, argument("TO", "A running branch.", Kind.BRANCH)],
    paths: Paths = None,
    ours: Annotated[bool, typer.Option("--ours", help="Where both changed a file, keep TO's.")] = False,
    theirs: Annotated[bool, typer.Option("--theirs", help="Where both changed a file, take FROM's.")] = False,
    lines: Annotated[
        str | None,
        typer.Option(
            "--lines",
            metavar="FIRST[-LAST]",
            help="Only what changed in these lines of one text, as FROM has them.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Bring FROM's file changes into a running branch, three ways against the commit both come from.

    Texts changed in different places are merged. What both changed in different ways is listed, and then nothing is
    done unless --ours or --theirs decides. All of it happens or nothing; it cannot be undone, so commit TO first.
    Flags (chattr) and project ids are not carried but named, and the exit status is 3 then.

    \b
    Examples:
      vertui apply b2 main /root/project
      vertui apply b2 b3 --theirs
      vertui apply b2 main /srv/app.py --lines 12-20
    """
    if ours and theirs:
        raise UsageError("--ours and --theirs exclude each other")
    prefer: Literal["ours", "theirs"] | None = "ours" if ours else "theirs" if theirs else None
    applied = connect().do(Apply(source, target, tuple(paths or ()), prefer, lines))
    if json:
        say_json(applied)
    else:
        for path in applied.changed:
            print(printable(path))
        for clash in applied.clashes:
            warn(f"{'kept' if ours else 'taken'}: {printable(clash)}")
        for path in applied.not_carried:
            warn(f"not applied: flags or project id of {path}")
        done = "change of {} is in {}" if len(applied.changed) == 1 else "changes of {} are in {}"
        print(f"{len(applied.changed)} {done.format(source, target)}")
    if applied.not_carried:
        raise typer.Exit(LEFT_OUT)


def origin(client: Client, ref: str) -> str:
    """The REF that `diff REF` compares with."""
    return Shown(client.tree()).origin(ref)


def _check_asked(forms: dict[str, bool], *, json: bool, mtime: bool, fallback: bool, more: bool) -> None:
    """Refuse options of which one would be ignored; `more` when not only files were asked for."""
    if sum(forms.values()) > 1:
        raise UsageError("--stat, --patch, --name-only and --multi exclude each other")
    if forms["patch"] and (json or mtime or more or not fallback):
        raise UsageError("--patch prints a text diff and nothing else: it goes with paths and --ignore")
    if forms["multi"] and (more or not fallback):
        raise UsageError("--multi compares files on disks: it goes with paths, --ignore, --mtime and --json")


def _ends(client: Client, refs: list[str]) -> tuple[str, str]:
    if not refs or len(refs) > 2 or (len(refs) == 2 and "..." in refs[0]):
        raise UsageError(
            "name one state, two, or A...B; paths start with a slash, and --multi takes more states"
        )
    if len(refs) == 2:
        return refs[0], refs[1]
    return (refs[0], "") if "..." in refs[0] else (origin(client, refs[0]), refs[0])
