"""The tools that are no verbs: commands, files, differences, journals, the tree, and the word that a plan waits for."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

from core.errors import UsageError
from vertui.mcp.desk import Desk, Report
from vertui.mcp.verb_tools import AgentTool, Given, Schema
from vertui.text import printable

if TYPE_CHECKING:
    from core.model import Tree

OUTPUT_BYTES, MOST_OUTPUT_BYTES = 16 * 1024, 1 << 20  # of each, from its end: an agent reads all it is told
FILE_BYTES, MOST_FILE_BYTES = 64 * 1024, 4 << 20
PATCH_BYTES = 64 * 1024
MOST_CHANGES, MOST_ENTRIES, MOST_COMMITS = 500, 200, 50
REPORT_S = 0.5  # between two reports of a command that prints without end

BRANCH: Schema = {"type": "string", "description": "A branch name or @trunk."}
REF: Schema = {"type": "string", "description": "A branch, @trunk, a commit id, a tag, or REF~N."}


async def _exec(desk: Desk, given: Given, report: Report) -> Any:
    branch = await desk.v.branch(given["branch"])
    options: Any = {
        name: given[name] for name in ("cwd", "env", "input", "timeout_s", "user") if name in given
    }
    most, seen, told = given.get("output_bytes", OUTPUT_BYTES), 0, time.monotonic()
    async with branch.run(given["command"], **options) as running:
        async for printed in running:
            seen += len(printed.data)
            if time.monotonic() - told >= REPORT_S:
                told = time.monotonic()
                await report(seen, None, printable(printed.text.rstrip("\n").rpartition("\n")[2])[:200])
        ended = await running.wait()
    out, err = _end(ended.stdout, most), _end(ended.stderr, most)
    return {
        "exit": ended.exit,
        "timed_out": ended.timed_out,
        "stdout": out,
        "stderr": err,
        "stdout_bytes": ended.stdout_bytes,
        "stderr_bytes": ended.stderr_bytes,
        "truncated": ended.truncated or (out, err) != (ended.stdout, ended.stderr),
    }


async def _read_file(desk: Desk, given: Given, _: Report) -> Any:
    branch = await desk.v.branch(given["branch"])
    data = await branch.read(given["path"])
    first, most = given.get("first_byte", 0), given.get("most_bytes", FILE_BYTES)
    part = data[first : first + most]
    told = {"size_bytes": len(data), "first_byte": first, "bytes": len(part)}
    try:
        return told | {"text": part.decode()}
    except UnicodeDecodeError:
        return told | {"base64": base64.b64encode(part).decode()}


async def _write_file(desk: Desk, given: Given, _: Report) -> Any:
    if ("text" in given) == ("base64" in given):
        raise UsageError("write_file: give what it is to hold as `text` or as `base64`")
    try:
        data = given["text"].encode() if "text" in given else base64.b64decode(given["base64"], validate=True)
    except ValueError as error:
        raise UsageError(f"write_file: what it is to hold cannot be read: {error}") from error
    branch = await desk.v.branch(given["branch"])
    await branch.write(given["path"], data)
    return {"path": given["path"], "bytes": len(data)}


async def _diff(desk: Desk, given: Given, _: Report) -> Any:
    branch = await desk.v.branch(given["branch"])
    paths, since = given.get("paths", []), given.get("since", "")
    diff = await branch.diff(since, path=paths, lines=True)
    changes = [
        {
            "kind": one.kind.value,
            "path": one.path,
            "lines": one.lines if isinstance(one.lines, tuple) else None,
        }
        | ({"from": one.source} if one.source else {})
        for one in diff.entries[:MOST_CHANGES]
    ]
    told = {"counts": diff.counts, "changes": changes, "left_out": len(diff.entries) - len(changes)}
    if given.get("patch"):
        patch = (await branch.patch(since, path=paths)).decode(errors="replace")
        told |= {"patch": patch[:PATCH_BYTES], "patch_truncated": len(patch) > PATCH_BYTES}
    return told | {"notes": diff.notes}


async def _journal(desk: Desk, given: Given, _: Report) -> Any:
    branch = await desk.v.branch(given["branch"])
    count = given.get("count", 20)
    if text := given.get("contains"):
        found = [entry async for entry in branch.journal_grep(text)]
    else:
        found = [entry async for entry in branch.journal(count=count)]
    return {"entries": found[-count:]}


async def _tree(desk: Desk, _: Given, __: Report) -> Any:
    return summary(await desk.v.tree())


async def _confirm(desk: Desk, given: Given, report: Report) -> Any:
    return await desk.confirmed(given["token"], report)


def summary(tree: Tree) -> Any:
    """What there is, in short: of commits the newest."""
    branches = [
        {
            "name": one.name,
            "state": one.state.value,
            "reason": one.reason,
            "parent": one.parent_branch,
            "head": one.head,
            "score": one.score,
            "note": one.note,
            "last_command": one.last and {"words": one.last.words, "exit": one.last.exit_code},
        }
        for one in tree.branches
    ]
    commits = [
        {
            "id": one.id,
            "branch": one.branch,
            "message": one.message,
            "parents": one.parents,
            "state": one.state.value,
        }
        for one in tree.commits[-MOST_COMMITS:]
    ]
    images = [image.name for image in tree.images]
    return {"trunk": tree.trunk, "branches": branches, "newest_commits": commits, "images": images}


def _end(text: str, most: int) -> str:
    """Of a text so many bytes at its end."""
    return text.encode()[-most:].decode(errors="replace")


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _number(description: str, default: int | None, most: int, least: int = 1) -> Schema:
    told: Schema = {"type": "integer", "description": description, "minimum": least, "maximum": most}
    return told if default is None else told | {"default": default}


OTHERS = (
    AgentTool(
        "exec",
        "Run a command in a branch's guest to its end. Its exit status is `exit`, null where it is not known. It is"
        " written into the branch's journal. To cancel the call ends the command.",
        {
            "branch": BRANCH,
            "command": _text("A line for the guest's shell."),
            "cwd": _text("Directory to run in; the user's home without one."),
            "env": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "Variables.",
            },
            "input": _text("Its standard input."),
            "user": _text("User to run as; root without one."),
            "timeout_s": {
                "type": "number",
                "exclusiveMinimum": 0,
                "description": "End it after so long: exit 124.",
            },
            "output_bytes": _number(
                "Of each output so much is told, from its end.", OUTPUT_BYTES, MOST_OUTPUT_BYTES, 0
            ),
        },
        ("branch", "command"),
        _exec,
    ),
    AgentTool(
        "read_file",
        "Read a file of a running branch: `text`, or `base64` where that part is no UTF-8.",
        {
            "branch": BRANCH,
            "path": _text("A relative path starts at root's home."),
            "first_byte": _number("Where to begin.", 0, 1 << 40, 0),
            "most_bytes": _number("How much at most.", FILE_BYTES, MOST_FILE_BYTES),
        },
        ("branch", "path"),
        _read_file,
        reads=True,
    ),
    AgentTool(
        "write_file",
        "Make what a file of a running branch holds; the directories above it are made.",
        {
            "branch": BRANCH,
            "path": _text("A relative path starts at root's home."),
            "text": _text("What it is to hold."),
            "base64": _text("The same, where it is no text."),
        },
        ("branch", "path"),
        _write_file,
    ),
    AgentTool(
        "diff",
        "Which files a branch changed since it was forked, or since another state; on request a patch of the texts.",
        {
            "branch": BRANCH,
            "since": REF,
            "paths": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Only what is at or below these absolute paths.",
            },
            "patch": {"type": "boolean", "default": False, "description": "Tell how the texts changed, too."},
        },
        ("branch",),
        _diff,
        reads=True,
    ),
    AgentTool(
        "journal",
        "Read a branch's journal, what was said and done in it and in what it was forked from: the newest entries, or"
        " those that hold a text.",
        {
            "branch": BRANCH,
            "count": _number("How many at most.", 20, MOST_ENTRIES),
            "contains": _text("Only entries that hold this text."),
        },
        ("branch",),
        _journal,
        reads=True,
    ),
    AgentTool(
        "tree",
        "List branches, the newest commits, images, and which branch is the trunk.",
        {},
        (),
        _tree,
        reads=True,
    ),
    AgentTool(
        "confirm",
        "Carry out a plan that promote or prune answered with, once. Refused when what it was made for is gone.",
        {"token": _text("As the plan came with it.")},
        ("token",),
        _confirm,
        destroys=True,
    ),
)
