"""Settings of a home."""

from typing import Annotated

import typer

from core.errors import NotFound, UsageError
from vertui.completion import offer
from vertui.options import Json, new_app
from vertui.output import say_json, say_table
from vertui.session import connect

app = new_app()


@app.command()
def config(
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="[KEY]",
            help="A setting.",
            show_default=False,
            autocompletion=offer(lambda client: (setting.key for setting in client.settings())),
        ),
    ] = None,
    value: Annotated[
        str | None, typer.Argument(metavar="[VALUE]", help="Its new value.", show_default=False)
    ] = None,
    unset: Annotated[bool, typer.Option("--unset", help="Go back to the default.")] = False,
    json: Json = False,
) -> None:
    """Show all settings of this home, or one; or change it.

    \b
    Examples:
      vertui config
      vertui config store.level 9
      vertui config store.level --unset
    """
    if unset and (key is None or value is not None):
        raise UsageError("--unset takes a KEY and nothing else")
    client = connect()
    if key is not None and (unset or value is not None):
        changed = client.change_setting(key, value)
        if json:
            say_json(changed)
        return
    found = [setting for setting in client.settings() if key in (None, setting.key)]
    if not found:
        raise NotFound(f"there is no setting '{key}': `vertui config` lists those there are")
    if json:
        say_json(found if key is None else found[0])
    elif key is not None:
        print(found[0].value)
    else:
        rows = [(s.key, str(s.value), str(s.default), s.meaning) for s in found]
        say_table(("KEY", "VALUE", "DEFAULT", "MEANING"), rows, ("MEANING",))
