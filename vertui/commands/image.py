"""Images: build, list, remove."""

import re
import time
from typing import Annotated

import typer

from core.errors import UsageError
from core.machine.accelerator import ACCELERATORS
from core.model import Image
from vertui import building
from vertui.commands.options import DryRun, Json, Yes, new_app
from vertui.output import Row, say_json, say_table, styled
from vertui.session import connect, settle
from vertui.text import age, short, size

app = new_app()
image = new_app()
app.add_typer(image, name="image")

HEADER = ("IMAGE", "MEMORY", "VCPUS", "DISK", "ACCELERATOR", "GOLDEN", "SIZE", "AGE")
SIZE = re.compile(r"([0-9]{1,20})\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@image.callback()
def _image() -> None:
    """Build, list or remove the images machines start from."""


@image.command()
def build(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The image's name.")] = "base",
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="RAM, such as 512M.", show_default="512M")
    ] = None,
    vcpus: Annotated[
        int | None, typer.Option("--vcpus", min=1, help="Virtual CPUs.", show_default="1")
    ] = None,
    disk: Annotated[
        str | None,
        typer.Option("--disk", metavar="SIZE", help="Root disk, such as 4G.", show_default="by recipe"),
    ] = None,
    packages: Annotated[
        list[str] | None, typer.Option("--package", "-p", help="An extra Debian package; may be repeated.")
    ] = None,
    accelerator: Annotated[
        str | None,
        typer.Option(
            "--accelerator",
            metavar="kvm|tcg",
            envvar="VERTUI_ACCEL",
            help="Boot on this one, instead of the first that boots.",
        ),
    ] = None,
) -> None:
    """Build a Debian image and boot it once. The same inputs again: instant, or while they are built, joined.

    Ctrl-C, SIGTERM and the terminal's end also end the build; only downloads are left of it.

    \b
    Examples:
      vertui image build
      vertui image build big --memory 1G --package gcc --package make
    """
    options = {
        "memory_bytes": parse_size(memory),
        "vcpus": vcpus,
        "disk_bytes": parse_size(disk),
        "packages": packages,
        "accelerator": _accelerator(accelerator),
    }
    client = connect()
    started = time.monotonic()
    built = building.build(client, name, {key: value for key, value in options.items() if value is not None})
    took = time.monotonic() - started
    print(f"{built.name}  golden {short(built.golden)}  in {took:.1f} s")


@image.command("ls")
def list_images(json: Json = False) -> None:
    """List images."""
    images = connect().tree().images
    if json:
        say_json(images)
    elif not images:
        print("no image yet: `vertui image build` makes one")
    else:
        now = time.time()
        say_table(HEADER, [_row(one, now) for one in images])
        for note in filter(None, (one.note for one in images)):
            print(styled(note, "dim"))


@image.command()
def rm(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The image.", show_default=False)],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Remove an image. Shows the plan first, and asks."""
    client = connect()
    plan = client.plan_remove_image(name)
    if settle(client, plan, yes, dry_run):
        print(f"removed image {name}")


def _accelerator(text: str | None) -> str | None:
    if text and text not in ACCELERATORS:
        raise UsageError(f"'{text[:40]}' is no accelerator: kvm or tcg")
    return text or None


def parse_size(text: str | None) -> int | None:
    """`512M`, `4G`, `1048576` as bytes; UsageError for anything else."""
    if text is None:
        return None
    match = SIZE.fullmatch(text.strip())
    if not match:
        raise UsageError(f"'{text[:40]}' is no size: write it like 512M or 4G")
    return int(match[1]) * int(1024 ** POWERS[match[2].lower()])


def _row(one: Image, now: float) -> Row:
    spec = one.spec
    return (
        one.name,
        size(spec.memory_bytes),
        str(spec.vcpus),
        size(spec.disk_bytes),
        spec.accelerator,
        short(one.golden),
        size(one.size_bytes),
        age(now - one.created),
    )
