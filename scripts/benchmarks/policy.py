"""`scripts/bench policy`: what checkpoint policies cost, on what branches do."""

import time
from dataclasses import dataclass
from typing import Any

from lab import Lab, lab
from report import Report

from core.daemon import streams
from core.model import ExecRequest

POLICIES: dict[str, dict[str, Any]] = {
    "manual": {"manual": True},
    "as it is without being asked for": {"default": True},
    "after each command": {"exec": True},
    "every 5 s": {"every": 5.0},
    "idle 2 s": {"idle": 2.0},
    "by 8 MiB": {"bytes": 8 << 20},
    "when its agent waits": {"waiting": True},
}
SETTLED_S = 4.0  # after the last command, and after an idle one is due
WAITS_EVERY = 5  # commands: then its agent says that it waits, whatever the policy


@dataclass(frozen=True)
class Workload:
    """Commands one after the other, and how long its agent thinks after each."""

    line: str
    steps: int
    think_s: float


WORKLOADS = {
    "an agent that edits and thinks": Workload(
        "echo $RANDOM >> /root/notes; python3 -c 'print(sum(range(20000)))'", 20, 3.0
    ),
    "an agent that does not think": Workload("echo x >> /root/notes", 60, 0.0),
    "a build": Workload(
        'python3 -c \'import os; b = bytearray(os.urandom(4 << 20)); open("/root/out", "wb").write(b)\'',
        15,
        0.2,
    ),
}
QUICK = 3  # steps


def measure(quick: bool) -> Report:
    """Time lost, pauses felt and bytes added, by policy and by workload."""
    report = Report("checkpoint policies")
    with lab("policy") as found:
        found.client.up("base", "main")
        found.client.policy("main", manual=True)
        found.client.change_setting("policy.default", "1")
        base = found.client.commit("main", "base").commit.id
        for kind, workload in WORKLOADS.items():
            steps = QUICK if quick else workload.steps
            _measured(
                found, base, workload, POLICIES["manual"], QUICK
            )  # what is cold at first is nobody's price
            plain_s = 0.0
            for name, policy in POLICIES.items():
                took_s, price = _measured(found, base, workload, policy, steps)
                report.add(
                    f"{kind}: {name}", took_s * 1000 / steps, "ms", timed=f"a command of {steps}; {price}"
                )
                if plain_s:
                    more = 100 * (took_s / plain_s - 1)
                    report.add(
                        f"{kind}: {name}, beside manual", more, "%", timed="more time for the commands"
                    )
                plain_s = plain_s or took_s
    return report


def _measured(
    found: Lab, base: str, workload: Workload, policy: dict[str, Any], steps: int
) -> tuple[float, str]:
    """How long its commands took, without the thinking; what the policy cost, in words."""
    client, took_s = found.client, 0.0
    client.fork(base, 1, "tried")
    client.policy("tried", **policy, **({} if {"manual", "default"} & {*policy} else {"keep_last": 1000}))
    for step in range(1, steps + 1):
        began = time.monotonic()
        with streams.run(found.home, ExecRequest("tried", ("sh", "-c", workload.line))) as stream:
            for _ in stream:
                pass
        took_s += time.monotonic() - began
        if step % WAITS_EVERY == 0:
            found.text("tried", "vertui-note", "--waiting")
        time.sleep(workload.think_s)
    time.sleep(client.policy("tried").policy.idle_s + SETTLED_S)
    price = client.policy("tried").price
    client.execute(client.plan_prune(["tried"]))
    each = f"pause felt {price.felt_pause_ms:g} ms, {price.stored_bytes / 1e6:.2f} MB each"
    return took_s, f"{price.count} made" + (f"; {each}" if price.count else "")
