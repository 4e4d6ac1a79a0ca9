"""What the list of swarms and the screen of one share: they look as records change, and play, end and promote."""

import shlex
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType

from core.daemon.endpoint import own
from core.errors import VertuiError
from vertui.base import TOAST_S
from vertui.feed import News
from vertui.messages import Printed
from vertui.plain import toast
from vertui.screens.base import VertuiScreen, bound, changing
from vertui.screens.swarm_process import may_play, play, promote_winner
from vertui.swarm.glance import SwarmGlance
from vertui.swarm.stopping import stop
from vertui.swarm.watching import SwarmsWatcher

KEYS = (
    ("{promote}", "promote the winner"),
    ("{resume}", "resume"),
    ("{redo}", "rerun"),
    ("{cancel_build}", "stop"),
)


class SwarmPlaying(VertuiScreen):
    """Looks at the swarms of the home, or at `only` one."""

    only: str | None = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", show=False),
        bound("resume", "resume"),
        bound("redo", "rerun"),
        bound("cancel_build", "stop"),
        bound("promote", "promote"),
        bound("copy", "copy"),
    ]
    _watcher: SwarmsWatcher | None = None

    def on_mount(self) -> None:
        """Begin to look."""
        try:
            home = own(self.vertui.endpoint)
        except VertuiError as error:
            self.say_trouble(f"swarms are files of a home, and this one is elsewhere: {error}")
            return
        self._watcher = SwarmsWatcher(home, lambda: self.post_message(Printed()), self.only)
        self._watcher.start()

    def on_unmount(self) -> None:
        """Look no more."""
        if self._watcher is not None:
            self._watcher.close()

    def hear(self, news: News) -> None:
        """Branches are as the tree tells; where the kernel does not say what is new in records, look at each news."""
        if self.is_mounted and self._watcher is not None:
            if news.fresh or self._watcher.deaf:
                self._watcher.look()
            if news.tree is not None:
                self.show_swarms()

    def on_printed(self) -> None:
        """Records have changed."""
        self.show_swarms()

    @property
    def glances(self) -> tuple[SwarmGlance, ...] | None:
        """The swarms as they were looked at last; None before that."""
        return self._watcher.take() if self._watcher else None

    @property
    @abstractmethod
    def swarm(self) -> SwarmGlance | None:
        """The one that keys act on."""

    @abstractmethod
    def show_swarms(self) -> None:
        """Show what is known."""

    @abstractmethod
    def say_trouble(self, why: str) -> None:
        """Say what is wrong."""

    @abstractmethod
    def begun(self, name: str) -> None:
        """Another swarm has begun: go there."""

    # -- keys ------------------------------------------------------------------------------------------------

    def action_copy(self) -> None:
        """Copy the command that prints what is shown."""
        words = ("show", self.swarm.name) if self.swarm else ("ls",)
        self.app.copy_to_clipboard(command := shlex.join(("vertui", "swarm", *words)))
        toast(self.app, f"copied: {command}", TOAST_S, error=False)

    @changing
    def action_resume(self) -> None:
        """Go on with one that was interrupted."""
        if (swarm := self.swarm) is None:
            return
        if swarm.state != "interrupted":
            self.say_trouble(
                f"resume: {swarm.name} is {swarm.state}, and only what was interrupted is gone on with"
            )
        else:
            self._play("resuming", ("resume", swarm.name), lambda name: None)

    @changing
    def action_rerun(self) -> None:
        """Run its spec once more, from the commit it began with."""
        if (swarm := self.swarm) is not None and not swarm.trouble:
            self._play("rerunning", ("rerun", swarm.name), self.begun)

    @changing
    def action_stop(self) -> None:
        """End whoever plays it; its commands run on."""
        if (swarm := self.swarm) is None:
            return
        if not swarm.player:
            self.say_trouble(f"stop: {swarm.name} is {swarm.state}, and nobody plays it")
        else:
            home = own(self.vertui.endpoint)
            self.vertui.call(f"stopping {swarm.name}", lambda: stop(home, swarm.name))

    @changing
    def action_promote(self) -> None:
        """Show the plan by which its winner becomes the trunk."""
        if (swarm := self.swarm) is None:
            return
        if not swarm.winner or swarm.outcome is None or swarm.outcome.promoted:
            why = (
                "its winner is the trunk already"
                if swarm.winner
                else f"it is {swarm.state}, and nothing has won"
            )
            self.say_trouble(f"promote: {swarm.name}: {why}")
        else:
            promote_winner(self.vertui, swarm)

    def _play(self, doing: str, arguments: tuple[str, ...], then: Callable[[str], object]) -> None:
        if not may_play(self.vertui):
            return

        def failed(error: VertuiError) -> None:
            self.vertui.fail(str(error), f"{doing} {arguments[-1]}")

        play(self.vertui, arguments, then, failed)
