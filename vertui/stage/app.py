"""The UI while the demo plays in it."""

import asyncio
from collections.abc import Awaitable, Callable

from rich.text import Text
from textual.events import Event, InputEvent, Key, MouseDown, Paste

from core.daemon.endpoint import Endpoint
from vertui.feed import Feed
from vertui.stage.dressed import DressedApp
from vertui.stage.player import Player

Script = Callable[[Player], Awaitable[None]]
LEAVE = ("q", "escape", "ctrl+c", "ctrl+q")


class StagedApp(DressedApp):
    """Plays `script`. A key or a click of whoever watches holds the script, and does not reach the UI before that is
    left to them.

    With `stays` the UI waits for a key at the end. `player` makes the player.
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
        self._leave()

    async def on_event(self, event: Event) -> None:
        """Keep what somebody presses from the UI."""
        player = self._player
        strange = isinstance(event, InputEvent | Paste) and not event.is_forwarded
        if player is None or not strange or (isinstance(event, Key) and player.is_own(event)):
            await super().on_event(event)
        elif isinstance(event, Key):
            self._pressed(player, event.key)
        elif isinstance(event, MouseDown) and not player.held:
            player.hold()

    def _begin(self) -> None:
        if self._player is not None:
            self._playing = asyncio.create_task(self._play(self._player))

    async def _play(self, player: Player) -> None:
        try:
            await self._script(player)
        except Exception as error:  # a task that dies unheard would leave its last caption for ever
            self.died = error
            self.exit()
            return
        if self._stays:
            player.end()
        else:
            self.exit()

    def _pressed(self, player: Player, key: str) -> None:
        if not player.held:
            player.hold()
        elif key == "space" and self._is_playing:
            player.go_on()
        elif key == "enter":
            self._leave()
            self.undress()
        elif key in LEAVE:
            self.exit(message=Text("`vertui tree` shows what it leaves") if self._is_playing else None)

    @property
    def _is_playing(self) -> bool:
        return self._playing is not None and not self._playing.done()

    def _leave(self) -> None:
        """Play no more; keys are the UI's."""
        if self._player is not None:
            self._player.leave()
            self._player = None
        if self._playing is not None:
            self._playing.cancel()
