"""A journal as spans of OpenTelemetry's conventions for generative AI: each a line of OTLP as JSON, as in its files.

Commands, and tool calls with their results, are spans of `execute_tool`, messages of `invoke_agent`; what else branches
go through has names of ours. A trace is all that goes on from one first entry: spans that children share with their
parent have one id in the exports of both.
"""

import json
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

from core.journal.entry import EntryKind, JournalEntry

TRACE_CHARS, SPAN_CHARS = 32, 16  # of a hash, in hexadecimal: OTLP's sizes
INTERNAL, FAILED = 1, 2  # OTLP's numbers of a span's kind, and of its status
CALL_IDS = ("tool_call_id", "call_id", "id")  # what harnesses call it, in JSON
NAMES = ("name", "tool", "tool_name")

Span = dict[str, object]


def lines_of(branch: str, entries: Iterable[JournalEntry]) -> Iterator[str]:
    """The lines, in the order in which the spans end; of calls without a result at last."""
    trace, calls = "", dict[str, JournalEntry]()
    for entry in entries:
        if not entry.hash:
            continue
        trace = trace or entry.hash
        if entry.kind == EntryKind.TOOL_CALL:
            calls[_told(entry, CALL_IDS) or entry.hash] = entry
            continue
        call = None
        if entry.kind == EntryKind.TOOL_RESULT:
            answered = _told(entry, CALL_IDS)
            call = calls.pop(answered if answered in calls else next(iter(calls), ""), None)
        yield _line(branch, trace, call or entry, entry)
    for call in calls.values():
        yield _line(branch, trace, call, call)


def _line(branch: str, trace: str, first: JournalEntry, last: JournalEntry) -> str:
    name, attributes = _said(first, last)
    attributes |= {
        "gen_ai.conversation.id": branch,
        "gen_ai.agent.name": first.author,
        "vertui.seq": first.seq,
        "vertui.commit": first.commit,
        "vertui.tried": first.tried,
        "vertui.guest": first.guest or None,
    }
    span = {
        "traceId": trace[:TRACE_CHARS],
        "spanId": first.hash[:SPAN_CHARS],
        "parentSpanId": "" if first.hash == trace else trace[:SPAN_CHARS],
        "name": name,
        "kind": INTERNAL,
        "startTimeUnixNano": _nanoseconds(first.time - (first.exec.duration_ms / 1000 if first.exec else 0)),
        "endTimeUnixNano": _nanoseconds(last.time),
        "attributes": [_pair(key, value) for key, value in attributes.items() if value not in ("", None)],
        "status": {"code": FAILED} if "error.type" in attributes else {},
    }
    resource = {"attributes": [_pair("service.name", "vertui")]}
    scopes = [{"scope": {"name": "vertui.journal"}, "spans": [span]}]
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]})


def _said(first: JournalEntry, last: JournalEntry) -> tuple[str, dict[str, Any]]:
    """A span's name, and the attributes that are of its kind alone."""
    if ran := first.exec:
        failed = {"error.type": str(ran.exit)} if ran.exit else {}
        return "execute_tool exec", failed | {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "exec",
            "gen_ai.tool.type": "extension",
            "gen_ai.tool.call.arguments": json.dumps({"argv": ran.argv, "cwd": ran.cwd, "user": ran.user}),
            "gen_ai.tool.call.result": first.body,
            "process.command_line": shlex.join(ran.argv),
            "process.exit.code": ran.exit,
        }
    if first.kind in (EntryKind.TOOL_CALL, EntryKind.TOOL_RESULT):
        tool = _told(first, NAMES) or "tool"
        answered = last.kind == EntryKind.TOOL_RESULT
        return f"execute_tool {tool}", {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool,
            "gen_ai.tool.call.id": _told(first, CALL_IDS),
            "gen_ai.tool.call.arguments": first.body if first.kind == EntryKind.TOOL_CALL else None,
            "gen_ai.tool.call.result": last.body if answered else None,
        }
    if first.kind == EntryKind.MESSAGE:
        told = [{"role": "assistant", "parts": [{"type": "text", "content": first.body}]}]
        name = f"invoke_agent {first.author}".strip()
        return name, {"gen_ai.operation.name": "invoke_agent", "gen_ai.output.messages": json.dumps(told)}
    return f"vertui.{first.kind}", {"vertui.body": first.body}


def _told(entry: JournalEntry, names: Iterable[str]) -> str:
    """What the body says of itself, when it is an object in JSON; "" when it does not."""
    try:
        told = json.loads(entry.body)
    except (ValueError, RecursionError):
        return ""
    found = (told.get(name) for name in names) if isinstance(told, dict) else ()
    return next((value for value in found if isinstance(value, str)), "")


def _pair(key: str, value: str | float) -> Span:
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    return {"key": key, "value": {"stringValue": str(value).encode(errors="replace").decode()}}


def _nanoseconds(time: float) -> str:
    return str(int(time * 1e9))
