"""The images, and the one being built."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from core.model import Image, Plan
from core.verbs.image.rm import Rm
from vertui import theme
from vertui.actions import BY_ID
from vertui.feed import News
from vertui.plain import Words, entitle
from vertui.screens.base import VertuiScreen, bound, changing
from vertui.screens.plan import Answer, plan_dialog
from vertui.text import printable, short, size
from vertui.widgets.events import progress_bar
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import RowList, columns


class ImagesScreen(VertuiScreen):
    """Builds, starts and removes images; shows how far a build is."""

    says_jobs = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", show=False),
        bound("images", "app.pop_screen"),
        bound("image_build", "verb('image_build')"),
        bound("up", "verb('up')"),
        bound("prune", "remove"),
        bound("cancel_build", "verb('cancel_build')"),
    ]

    def compose(self) -> ComposeResult:
        """The list, the progress, the keys."""
        yield RowList[Image](_draw, lambda image: image.id, id="images")
        yield Words(id="progress")
        yield KeyHints(
            ("{image_build}", "build"), ("{up}", "start a machine"), ("{prune}", "remove"),
            ("{cancel_build}", "cancel build"), ("esc", "back"),
        )  # fmt: skip

    def on_mount(self) -> None:
        """What is known already."""
        entitle(self._list, "images")
        self._show()

    def hear(self, news: News) -> None:
        """Follow the build and the list; mounting looks by itself."""
        if self.is_mounted:
            self._show()

    def action_verb(self, verb: str) -> None:
        """Build or start, as on the main screen."""
        selection = self.vertui.selection
        if reason := BY_ID[verb].refuse(selection):
            self.vertui.fail(reason)
        else:
            self.vertui.perform(verb, selection)

    @changing
    def action_remove(self) -> None:
        """Show what removing the current image would remove."""
        if (image := self._list.current) is not None:
            self.vertui.call("planning", lambda: self.vertui.client.plan(Rm(image.id)), self._show_plan)

    def _show_plan(self, plan: Plan) -> None:
        def answer(said: Answer | None) -> None:
            if said is Answer.DO:
                self.vertui.call("removing the image", lambda: self.vertui.client.execute(plan))

        self.app.push_screen(plan_dialog(plan, "Remove"), answer)

    def _show(self) -> None:
        self._list.show(self.vertui.selection.newest.images)
        progress, jobs = self.vertui.progress, self.vertui.jobs
        line = Text(f"◌ {printable(jobs[0])}…  " if jobs else "", style=theme.TEAL)
        if progress is not None:
            line.append_text(progress_bar(progress))
        elif not self._list.items and not jobs:
            line = Text(f"no image yet: {BY_ID['image_build'].key_label} builds one", style=theme.MUTED)
        self.query_one("#progress", Words).say(line)

    @property
    def _list(self) -> RowList[Image]:
        return self.query_one("#images", RowList)


def _draw(image: Image, width: int) -> Text:
    left = Text.assemble(
        (f"{printable(image.name):<16} ", f"bold {theme.BRIGHT}"), (f"{short(image.golden)} ", theme.MUTED)
    )
    spec = image.spec
    right = Text(
        f"{printable(spec.accelerator)}  {spec.vcpus} vCPU  {size(spec.memory_bytes)} memory  ",
        style=theme.MUTED,
    )
    right.append(f"{size(spec.disk_bytes)} disk  ").append(f"{size(image.size_bytes):>6}", theme.TEXT)
    return columns(left, right, width)
