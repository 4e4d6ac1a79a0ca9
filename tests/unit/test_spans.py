"""A journal as OpenTelemetry's spans: calls with their results, commands with their time, one trace of all."""

import json
from typing import Any

from core.journal.entry import JournalEntry, JournalExec
from vertui.spans import lines_of


def entry(seq: int, kind: str, body: str, **more: Any) -> JournalEntry:
    return JournalEntry(seq, 100.0 + seq, kind, "planner", body, "c" * 40, "", f"{seq}" * 64, **more)


def test_spans_of_calls_commands_and_what_is_said() -> None:
    ran = JournalExec(("make", "a b"), exit=2, duration_ms=500.0)
    told = lines_of("b1", [
        entry(1, "message", "a\ud800 plan"),
        entry(2, "tool_call", '{"id": "c1", "name": "bash"}'),
        entry(3, "tool_call", '{"id": "c2", "name": "grep"}'),
        entry(4, "exec", "no rule\n", exec=ran, tried=True),
        entry(5, "tool_result", '{"tool_call_id": "c2", "found": 3}'),
        entry(6, "tool_result", "no JSON"),
        entry(7, "score", "0.5"),
    ])  # fmt: skip
    spans = [json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0] for line in told]
    names = [
        "invoke_agent planner",
        "execute_tool exec",
        "execute_tool grep",
        "execute_tool bash",
        "vertui.score",
    ]
    assert [span["name"] for span in spans] == names
    assert {span["traceId"] for span in spans} == {"1" * 32} and spans[0]["parentSpanId"] == ""
    times = [(int(span["startTimeUnixNano"]) / 1e9, int(span["endTimeUnixNano"]) / 1e9) for span in spans]
    assert times == [(101, 101), (103.5, 104), (103, 105), (102, 106), (107, 107)]
    of = [{one["key"]: one["value"] for one in span["attributes"]} for span in spans]
    assert (spans[1]["status"], of[1]["process.exit.code"]) == ({"code": 2}, {"intValue": "2"})
    assert (
        of[1]["vertui.tried"] == {"boolValue": True}
        and of[1]["gen_ai.tool.call.result"]["stringValue"] == "no rule\n"
    )
    assert of[2]["gen_ai.tool.call.id"] == {"stringValue": "c2"} and spans[2]["status"] == {}
