"""The UI while the demo plays in it."""

import asyncio
from collections.abc import Awaitable, Callable

from rich.text import Text
from textual.events import Event, InputEvent, Key, MouseDown

from core.daemon.endpoint import Endpoint
from vertui.feed import Feed
from vertui.stage.dressed import DressedApp
from vertui.stage.player import Player

Script = Callable[[Player], Awaitable[None]]
LEAVE = ("q", "escape", "ctrl+c", "ctrl+q")


class StagedApp(DressedApp):
    """`script` is played on it; what somebody presses holds that, and is no key of the UI's until it is left to them.

    With `stays` the end waits for a key. `player` makes who plays it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        script: Script,
        pace: float,
        *,
        stays: bool = True,
        player: Callable[[DressedApp, float], Player] = Player,
        open_feed: Callable[[], Feed] | None = None,
    ) -> None:
        super().__init__(endpoint, open_feed)
        self._script, self._stays = script, stays
        self._player: Player | None = player(self, pace)
        self._playing: asyncio.Task[None] | None = None

    def on_mount(self) -> None:
        """Begin, once there is a screen."""
        self.call_after_refresh(self._begin)

    def on_unmount(self) -> None:
        """Play no more."""
        if self._playing is not None:
            self._playing.cancel()

    async def on_event(self, event: Event) -> None:
        """Keep what somebody presses from the UI."""
        player = self._player
        strange = isinstance(event, InputEvent) and not event.is_forwarded
        if player is None or not strange or (isinstance(event, Key) and player.is_own(event)):
            await super().on_event(event)
        elif isinstance(event, Key):
            self._pressed(player, event.key)
        elif isinstance(event, MouseDown):
            player.hold()

    def _begin(self) -> None:
        self._playing = asyncio.create_task(self._play())

    async def _play(self) -> None:
        assert self._player is not None
        try:
            await self._script(self._player)
        except Exception as error:  # a task that dies unheard would leave its last caption for ever
            self.died = error
            self.exit()
            return
        if not self._stays:
            self.exit()
        elif self._player is not None:
            self._player.end()

    def _pressed(self, player: Player, key: str) -> None:
        if not player.held:
            player.hold()
        elif key == "space" and self._playing is not None and not self._playing.done():
            player.go_on()
        elif key == "enter":
            self._hand_over()
        elif key in LEAVE:
            left = (
                "" if self._playing is None or self._playing.done() else "`vertui tree` shows what it leaves"
            )
            self.exit(message=Text(left) if left else None)

    def _hand_over(self) -> None:
        self._player = None
        if self._playing is not None:
            self._playing.cancel()
        self.undress()
