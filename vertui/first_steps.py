"""What keys do for who has just come: begin, be shown around, read what things are."""

from core.verbs.image.build import Build
from core.verbs.up import Up
from vertui.base import BaseApp
from vertui.screens.main import MainScreen
from vertui.selection import Selection


class FirstSteps:
    """The actions of the first minute."""

    _app: BaseApp
    _main: MainScreen

    def begin(self) -> None:
        """The first screen's way: build the image if there is none, then start main."""
        client = self._app.client
        if not self._app.may_change():
            return

        def start(done: object = None) -> None:
            self._app.call("starting main", lambda: client.do(Up()), failed=self._main.failed)

        if not self._main.selection.connected:
            self._app.start_daemon()
        elif self._app.jobs:
            self._main.say("already at it")
        elif self._main.shown.images:
            start()
        else:
            image = Build()
            self._app.call(f"building {image.name}", lambda: client.do(image), start, self._main.failed)

    def cancel_build(self, selection: Selection) -> None:
        """End the image build."""
        self._app.call("cancelling the build", self._app.client.cancel_build)

    def tour(self, selection: Selection) -> None:
        """Show the cards."""
        from vertui.screens.tour import TourScreen

        self._app.push_screen(TourScreen())

    def words(self, selection: Selection) -> None:
        """Show what things are."""
        from vertui.screens.words import WordsScreen

        def act(action: str | None) -> None:
            if action is not None:
                self._main.act(action)

        self._app.push_screen(WordsScreen(keys=self._main.welcoming), act)
