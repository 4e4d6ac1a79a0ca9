"""A command begun in a branch's guest as it is asked for: with the secrets and placeholders that its variables name."""

from functools import partial

from core.engine import authority, secrets
from core.engine.context import Engine
from core.engine.live import Live
from core.guest.sealed import exec_sealed
from core.guest.streams import CommandStream
from core.model import ExecRequest


async def begin(engine: Engine, live: Live, request: ExecRequest, *, owner_s: float) -> CommandStream:
    """Start it, and follow it: it hangs up when its owner is away for longer than `owner_s`, unless that is 0.

    NotFound for a secret that there is not. GuestFailed when the guest does not start it; then it has not begun.
    """
    agent = await live.agent()
    line = len(request.argv) == 1 and any(blank in request.argv[0] for blank in " \t\n")
    handed, env = secrets.handed(engine, request.secrets), request.env
    if handed.placeholders:
        env = {**await authority.introduce(engine, live), **handed.placeholders, **env}
    start = partial(exec_sealed, agent, variables=handed.values) if handed.values else agent.exec
    return await start(
        request.argv[0] if line else request.argv,
        env=env,
        cwd=request.cwd,
        user=request.user,
        terminal=(request.rows, request.columns) if request.tty else None,
        stdin=request.stdin,
        timeout_s=request.timeout_s,
        lossless=request.lossless,
        owner_s=owner_s,
        key=request.key,
        inner=request.inner,
    )
