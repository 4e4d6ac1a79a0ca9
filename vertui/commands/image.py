"""Images: what there is."""

import time

from core.model import Image
from core.reach import in_words
from vertui.options import Json, new_app
from vertui.output import Row, say_json, say_table, styled
from vertui.session import connect
from vertui.text import age, short, size

app = new_app()
image = new_app()
app.add_typer(image, name="image")

HEADER = ("IMAGE", "MEMORY", "VCPUS", "DISK", "ACCELERATOR", "GOLDEN", "SIZE", "EGRESS", "AGE")


@image.callback()
def _image() -> None:
    """Build, list or remove the images machines start from."""


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
        in_words(one.egress) if one.egress else "default",
        age(now - one.created),
    )
