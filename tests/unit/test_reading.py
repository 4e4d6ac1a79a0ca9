"""A screen that may only look sends nothing that changes anything, whatever it is made to ask for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import UsageError
from core.home import Home
from core.model import ExecRequest, Plan
from core.verbs.prune import Prune
from core.verbs.undo import Undo
from tests.stand_in import standing_in
from tests.ui.trees import DEMO, HandMadeFeed
from vertui.actions import READ_ONLY
from vertui.cli import main
from vertui.reading import ReadingFeed, reading_client


def test_its_client_reads_and_refuses_all_else(tmp_path: Path) -> None:
    home, sent = Home(tmp_path, tmp_path / "r"), list[bytes]()
    plan = Plan("p", "prune", (), (), 0, True, ())
    with standing_in(home, {"/v1/tree": DEMO, "/v1": None}, sent) as asked:
        client = reading_client(home)
        changes: tuple[Callable[[], object], ...] = (
            lambda: client.do(Undo()), lambda: client.plan(Prune(("b1",))), lambda: client.execute(plan),
            lambda: client.cancel_build(), lambda: client.import_commit([b"x"]), lambda: client.dial("main", 22),
            lambda: client.suspend_all(), lambda: client.ssh("main"), lambda: client.change_setting("x", "1"),
        )  # fmt: skip
        for change in changes:
            with pytest.raises(UsageError, match=READ_ONLY):
                change()
        assert client.tree() == DEMO
    assert asked == ["/v1/tree"] and not sent


def test_its_feed_starts_nothing_types_nothing_and_interrupts_nothing() -> None:
    begun = list[str]()

    class Begun(HandMadeFeed):
        def start(self) -> None:
            begun.append("started")

        def rejoin(self) -> None:
            begun.append("joined")

    ReadingFeed(Begun(DEMO), starts=True).start()
    feed = ReadingFeed(Begun(DEMO), starts=False)
    feed.start()
    assert begun == ["started", "joined"] and feed.tree() == DEMO and feed.commands("main")
    with pytest.raises(UsageError, match=READ_ONLY):
        feed.run(ExecRequest("main", ("true",)))
    for printing in (feed.console("main"), feed.output("main", 1, (0, 0))):
        assert [*printing] and not printing.write(b"x")
        with pytest.raises(UsageError, match=READ_ONLY):
            printing.signal(2)
        printing.close()


def test_where_the_flag_stands_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--readonly", "serve"]) == UsageError.exit_status
    assert "`vertui serve --readonly`" in capsys.readouterr().err
    assert main(["serve", "--help"]) == 0
    assert "changes nothing, whatever they type" in " ".join(capsys.readouterr().out.split())
