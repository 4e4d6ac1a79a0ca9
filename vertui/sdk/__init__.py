"""Branches driven by Python programs, blocking or with asyncio.

    from vertui.sdk import connect

    async with connect() as v:
        base = await v.branch("main")
        kids = await base.fork(8)
        done = await kids[0].exec("pytest -q")

    with connect() as v:
        done = v.branch("main").exec("pytest -q")

Glossary
    Sync…     what blocks until there is an answer; may be used by several threads
    Async…    the same, awaited: the call runs in a thread of its own, so that the loop goes on
    method    of a verb: it takes what the verb's value in `core.verbs` takes, and gives that verb's answer; of a branch
              the first field is the branch
    child     a branch that a fork was asked for, whether it runs or not: `ok` says so, and `reason` why not

Refusals are raised as `core.errors` has them. No terminal is needed, and nothing that draws on one is imported.
"""

from core.errors import VertuiError
from vertui.sdk.asynchronous import AsyncBranch, AsyncChild, AsyncRunning, AsyncVertui
from vertui.sdk.connecting import connect
from vertui.sdk.request import ExecOptions
from vertui.sdk.synchronous import SyncBranch, SyncChild, SyncVertui

__all__ = [
    "AsyncBranch",
    "AsyncChild",
    "AsyncRunning",
    "AsyncVertui",
    "ExecOptions",
    "SyncBranch",
    "SyncChild",
    "SyncVertui",
    "VertuiError",
    "connect",
]
