"""A build tells which step it is at, how long it takes yet by what earlier ones took here, and what happens."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.engine.building import USUAL_S, BuildWatch
from core.image import job
from core.image.tools import hearing, output, run
from core.progress import BuildProgress, BuildStep


class Builds:
    """Builds in one home, each at the same pace, and what of them was told: the whole's fraction, and the rest."""

    def __init__(self, directory: Path) -> None:
        self.home, self.events = SimpleNamespace(builds=directory / "builds.json"), self
        self.told: list[tuple[float, BuildProgress]] = []
        self.now = 0.0

    def publish(self, kind: str, image: str, text: str, fraction: float, *, progress: BuildProgress) -> None:
        assert (kind, image, text) == ("progress", "base", str(progress.step))
        self.told.append((fraction, progress))

    def begin(self) -> BuildWatch:
        self.told.clear()
        return BuildWatch(cast(Any, self), "base", lambda: self.now)

    def last(self) -> BuildProgress:
        return self.told[-1][1]

    def build(self, first: BuildStep, seconds: float) -> BuildWatch:
        """Every step from the first on, told of three times."""
        watch = self.begin()
        for step in list(BuildStep)[list(BuildStep).index(first) :]:
            for share in (0.0, 0.5, 1.0):
                self.now += seconds / 3
                watch.step(step, share)
        watch.keep()
        return watch


def test_the_first_build_is_a_guess_and_the_next_is_what_it_took(tmp_path: Path) -> None:
    builds = Builds(tmp_path)
    builds.build(BuildStep.INSTALL, 30.0)
    first = builds.told[0][1]
    assert (first.number, first.steps, first.guessed) == (1, 7, True)
    assert first.left_s == sum(USUAL_S.values())
    fractions = [fraction for fraction, _ in builds.told]
    assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] <= 1
    watch = builds.begin()
    watch.step(BuildStep.DISK, 0.0)  # the base is there already
    told = builds.last()
    assert (told.number, told.steps, told.guessed) == (1, 5, False)
    assert told.left_s == pytest.approx(140.0, abs=20.0)
    builds.now += 20.0
    watch.tell()
    assert builds.last().left_s == pytest.approx(told.left_s - 20.0)


def test_a_step_that_takes_longer_than_foreseen_neither_ends_nor_goes_back(tmp_path: Path) -> None:
    builds = Builds(tmp_path)
    watch = builds.begin()
    watch.step(BuildStep.INSTALL, 0.0)
    for _ in range(5):
        builds.now += USUAL_S[BuildStep.INSTALL]
        watch.tell()
    fractions = [fraction for fraction, _ in builds.told]
    assert fractions == sorted(fractions) and fractions[-1] < 1
    watch.step(BuildStep.INSTALL, 0.5)
    assert builds.last().left_s > USUAL_S[BuildStep.INSTALL], "its own pace tells more"


def test_what_went_otherwise_is_told_to_the_end(tmp_path: Path) -> None:
    builds = Builds(tmp_path)
    watch = builds.begin()
    watch.step(BuildStep.BOOT, 0.0, "on KVM")
    assert builds.last().line == "on KVM"
    watch.note("it does not boot on KVM")
    watch.step(BuildStep.BOOT, 0.0, "by emulation")
    watch.step(BuildStep.COMMIT, 0.0)
    assert (builds.last().note, builds.last().line) == ("it does not boot on KVM", "")


def test_figures_that_were_damaged_are_no_obstacle(tmp_path: Path) -> None:
    builds = Builds(tmp_path)
    builds.home.builds.write_text('{"booting": "soon"')
    builds.build(BuildStep.BOOT, 9.0)
    assert builds.told[0][1].guessed and set(json.loads(builds.home.builds.read_text())) == {
        "booting", "making the golden commit", "learning what a fork touches first",
    }  # fmt: skip


async def test_a_line_of_what_tools_say_is_told_with_the_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "TELL_S", 60.0)
    speaker = job.Speaker()
    hearing.set(speaker.hear)
    speaker.step(BuildStep.INSTALL, 0.0)
    speaker._said -= 60.0
    await run(["sh", "-c", "echo; echo Setting up libc6; for i in 1 2 3; do echo more; done"])
    assert await output(["echo", "no matter"]) == "no matter"
    speaker.step(BuildStep.DISK, 0.0)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one.get("step"), one.get("line")) for one in told] == [
        ("installing Debian", None),
        ("installing Debian", "Setting up libc6"),
        ("making the root disk", None),
    ], "what comes faster than it can be read is left out"
