"""Plays on the UI: says things, presses keys, waits for what they do. All of it stands still while it is held."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot, WaitForScreenTimeout

from core.errors import GuestFailed
from core.model import Branch, Tree
from core.patience import patient
from vertui.actions import BY_ID, as_printed
from vertui.demo import named
from vertui.stage.bar import HELD, HOLDS, OVER, Cue
from vertui.stage.dressed import DressedApp

T = TypeVar("T")
WORD_S, LEAST_S = 0.3, 2.0  # what is said is read at this pace, by somebody who looks at the screen, too
KEY_S, LETTER_S = 0.8, 0.05  # until a key that is shown is pressed
SLICE_S = 0.1  # of a rest: so soon it is held
LOOK_S, ASK_S = 0.05, 0.5  # between looks at the screen, and between questions to the daemon
COMES_S = patient(180.0)  # what keys do on a host that has other work, and no hardware virtualisation
MOST_KEYS = 8  # shown
CHARACTERS = {"enter": "\r", "space": " ", "tab": "\t"}


class Player:
    """`pace` is how slow it plays: 0 rests nowhere, 1 lets people read."""

    def __init__(self, app: DressedApp, pace: float) -> None:
        self.app, self._pace = app, pace
        self.caption = Cue()
        self._going = asyncio.Event()
        self._going.set()
        self._own: list[Key] = []
        self._left = False

    # -- what scenes do --------------------------------------------------------------------------------------

    async def say(self, text: str, scene: str = "") -> None:
        """Show this, and let it be read."""
        self.show(Cue(scene or self.caption.scene, text, (), self.caption.hint))
        await self.rest(max(LEAST_S, len(text.split()) * WORD_S))

    async def press(self, *keys: str) -> None:
        """Press keys one by one, by their names or as they are printed, each shown before it does something."""
        for key in keys:
            self.show_key(as_printed(key))
            await self.rest(KEY_S)
            await self._press(key)

    async def act(self, *actions: str) -> None:
        """Press the keys of actions, by their ids: whoever watches may have given them keys of their own."""
        await self.press(*(BY_ID[action].keys.partition(",")[0] for action in actions))

    async def type(self, text: str) -> None:
        """Type a text into what has the keys; what it held is selected, and goes."""
        self.show_key(text)
        for letter in text:
            await self.rest(LETTER_S)
            await self._press(letter)

    async def until(self, what: str, good: Callable[[], bool]) -> None:
        """Wait for what keys do, as the screen shows it; GuestFailed, which says what, where it does not come."""
        await self._until(what, lambda: _at_once(good), LOOK_S)

    async def until_asked(self, what: str, good: Callable[[], bool]) -> None:
        """The same, of what is asked in a thread."""
        await self._until(what, lambda: self.work(good), ASK_S)

    async def work(self, work: Callable[[], T]) -> T:
        """Do something behind the scenes, in a thread. Who leaves does not wait for it: it may be an image's build."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(tell: Callable[[], None]) -> None:
            if not done.done():
                tell()

        def run() -> None:
            try:
                tell = partial(done.set_result, work())
            except BaseException as error:
                tell = partial(done.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed: it was left
                loop.call_soon_threadsafe(settle, tell)

        threading.Thread(target=run, name="behind the scenes", daemon=True).start()
        return await done

    async def rest(self, seconds: float) -> None:
        """Do nothing for so long, and for as long as it is held."""
        left = seconds * self._pace
        while left > 0:
            await self._going.wait()
            await asyncio.sleep(min(SLICE_S, left))
            left -= SLICE_S
        await self._going.wait()

    def show(self, caption: Cue) -> None:
        """In the bar, as long as there is one."""
        self.caption = caption
        if not self._left:
            self.app.show_caption(caption)

    def show_key(self, key: str) -> None:
        """A key as it is printed, or what is typed, beside those before it."""
        self.show(replace(self.caption, keys=(*self.caption.keys, key)[-MOST_KEYS:]))

    @property
    def tree(self) -> Tree:
        """What the UI shows."""
        return self.app.main.shown

    def branch(self, name: str) -> Branch | None:
        """A branch, if it is shown."""
        return next((branch for branch in self.tree.branches if branch.name == name), None)

    # -- somebody at the terminal --------------------------------------------------------------------------------

    def is_own(self, event: Key) -> bool:
        """Did the player press this key itself? To be asked once a key."""
        own = any(event is one for one in self._own)
        self._own = [one for one in self._own if one is not event]
        return own

    def hold(self) -> None:
        """Stand still."""
        self._going.clear()
        self.show(replace(self.caption, hint=HELD))

    def go_on(self) -> None:
        """Play on."""
        self._going.set()
        self.show(replace(self.caption, hint=HOLDS))

    def end(self) -> None:
        """All was played."""
        self._going.clear()
        self.show(replace(self.caption, hint=OVER))

    def leave(self) -> None:
        """Show nothing more: what is done behind the scenes may go on for a while."""
        self._left = True

    @property
    def held(self) -> bool:
        """Does it stand still?"""
        return not self._going.is_set()

    async def _until(self, what: str, look: Callable[[], Awaitable[bool]], every_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + COMES_S
        while not await look():
            if loop.time() > deadline:
                raise GuestFailed(f"demo: {what}: this did not come")
            await asyncio.sleep(every_s)
        await self.rest(LOOK_S)

    async def _press(self, key: str) -> None:
        event = _event(key)
        self._own.append(event)
        self.app.post_message(event)
        with suppress(WaitForScreenTimeout):  # of a screen that went meanwhile
            await Pilot(self.app).pause()


class StageTeller:
    """Says beside the caption which steps the demo takes behind the scenes, in a thread."""

    def __init__(self, player: Player) -> None:
        self._player = player

    def step(self, text: str) -> AbstractContextManager[None]:
        """Show it in place of keys."""
        self._player.app.call_from_thread(self._player.show_key, text)
        return named(text)

    def say(self, line: str) -> None:
        """The screen shows it."""


async def _at_once(good: Callable[[], bool]) -> bool:
    return good()


def _event(key: str) -> Key:
    """As a terminal's driver makes it."""
    if len(key) > 1:
        return Key(key, CHARACTERS.get(key))
    return Key(key if key.isalnum() else _character_to_key(key), key)
