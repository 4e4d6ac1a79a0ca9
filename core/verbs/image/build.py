"""Image build: kernel, initrd and root disk, booted once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from core.model import MAX_MEMORY, MAX_VCPUS, MIN_MEMORY, Image
from core.verbs.base import Entry, Given, Kind, Verb
from core.verbs.fields import Short

if TYPE_CHECKING:
    from core.engine.context import Engine

MOST_PACKAGES = 10_000
MIN_DISK, MAX_DISK = 1 << 30, 1 << 40
DEFAULT_NAME = "base"


@dataclass(frozen=True)
class Build(Verb[Image]):
    """Build a Debian image and boot it once. The same inputs again: instant, or while they are built, joined.

    Ctrl-C, SIGTERM and the terminal's end also end the build; only downloads are left of it.
    """

    name: Annotated[str, Given("The image's name.", "NAME", kind=Kind.NAME, argument=True), Short] = (
        DEFAULT_NAME
    )
    memory: Annotated[
        int,
        Given("RAM, such as 512M.", "SIZE", kind=Kind.SIZE, default="512M"),
        Meta(ge=MIN_MEMORY, le=MAX_MEMORY),
    ] = 512 << 20
    vcpus: Annotated[int, Given("Virtual CPUs."), Meta(ge=1, le=MAX_VCPUS)] = 1
    disk: Annotated[
        int,
        Given("Root disk, such as 4G.", "SIZE", kind=Kind.SIZE, default="4G", rare=True),
        Meta(ge=MIN_DISK, le=MAX_DISK),
    ] = 4 << 30
    package: Annotated[
        tuple[Annotated[str, Short], ...],
        Given("An extra Debian package; may be repeated.", flags=("-p", "--package"), label="packages"),
        Meta(max_length=MOST_PACKAGES),
    ] = ()
    accelerator: Annotated[
        Literal["kvm", "tcg"] | None,
        Given("Boot on this one, instead of the first that boots.", "kvm|tcg", env="VERTUI_ACCEL", rare=True),
    ] = None

    examples: ClassVar = (
        "vertui image build",
        "vertui image build big --memory 1G --package gcc --package make",
    )
    lasts: ClassVar = True
    screen: ClassVar = Entry("b", "build image", "build an image: kernel, root disk, first boot", "building")

    async def carry_out(self, engine: Engine, request_id: str) -> Image:
        from core.engine import images
        from core.image.recipe import Recipe

        recipe = Recipe(self.memory, self.vcpus, self.disk, self.package)
        return await images.build_image(engine, request_id, self.name, recipe, self.accelerator)
