"""Recovery of a branch whose machine died."""

from typing import Annotated

import typer

from core.errors import UsageError
from core.verbs.cold_boot import ColdBoot
from vertui.answers import say
from vertui.options import BranchName, Json, new_app
from vertui.output import say_json
from vertui.session import connect

app = new_app()


@app.command()
def recover(
    branch: BranchName,
    from_crash_disk: Annotated[
        bool, typer.Option("--from-crash-disk", help="Boot it from what its disk held when its machine died.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring a branch back whose machine died, from its crash disk: what it had written and synced after its commit.

    BRANCH@crash is compared (`diff`) and taken from (`export-files`, `apply`) without that.

    \b
    Example:
      vertui diff main@crash && vertui recover main --from-crash-disk
    """
    if not from_crash_disk:
        raise UsageError(
            f"say from what: --from-crash-disk; `vertui resume {branch}` starts it from its last commit"
        )
    done = connect().do(ColdBoot(branch))
    (say_json if json else say)(done)
