"""Settings of a home: a table of what there is, kept in the catalog under their keys."""

from dataclasses import dataclass

from core.checkpoints import EVERY_S, IDLE_S, CheckpointPolicy
from core.engine.context import Engine
from core.engine.members import FLOOR_MIB, MACHINES, SPARES
from core.errors import NotFound, UsageError
from core.log import LEVELS, ours
from core.model import Setting
from core.reach import Reach, ReachMode, without_groups
from core.store.pack_writer import FRAME_PAGES, LEVEL


@dataclass(frozen=True)
class KnownSetting:
    """A setting there is: a whole number from `least` to `most`."""

    default: int
    least: int
    most: int
    meaning: str


SETTINGS = {
    "store.level": KnownSetting(
        LEVEL, 1, 19, "Zstandard level of what is stored from now on: higher is smaller, slower"
    ),
    "store.frame-pages": KnownSetting(
        FRAME_PAGES, 4, 64, "pages compressed together from now on: more is smaller, slower to read one of"
    ),
    "pool.machines": KnownSetting(MACHINES, 0, 64, "started machines that wait for forks, in all"),
    "pool.spares": KnownSetting(
        SPARES, 0, 16, "loaded machines that wait for forks of a likely commit, each"
    ),
    "pool.floor-mib": KnownSetting(FLOOR_MIB, 0, 1 << 20, "available memory, in MiB, below which none waits"),
    "handover.bytes": KnownSetting(
        64 << 20,
        0,
        1 << 50,
        "a branch that has changed this much over its base moves to a new process; 0: never",
    ),
    "egress.default": KnownSetting(
        0, 0, 1, "what a branch that `up` starts may reach outside, unless its image says: 0 nothing, 1 all"
    ),
    "policy.default": KnownSetting(
        1, 0, 1, "is a branch without a policy of its own committed by itself: 0 never, 1 as the next two say"
    ),
    "policy.every-s": KnownSetting(
        EVERY_S, 0, 1 << 20, "seconds of change after which such a branch is committed; 0: never"
    ),
    "policy.idle-s": KnownSetting(
        IDLE_S, 0, 1 << 20, "seconds without a command after which one that has changed is; 0: never"
    ),
    "log.level": KnownSetting(
        2, 0, 3, "what the daemon logs: 0 errors, 1 warnings too, 2 each request too, 3 each step of one too"
    ),
}


def settings(engine: Engine) -> list[Setting]:
    """All settings, with their values now."""
    return [Setting(key, value(engine, key), known.default, known.meaning) for key, known in SETTINGS.items()]


def value(engine: Engine, key: str) -> int:
    """A setting's value."""
    known = _known(key)
    return int(engine.catalog.setting(key) or known.default)


def change(engine: Engine, key: str, text: str | None) -> Setting:
    """Give a setting a value, or with None its default again. On failure it stays as it was."""
    known = _known(key)
    if text is not None and not (
        text.isascii() and text.isdigit() and known.least <= int(text) <= known.most
    ):
        raise UsageError(
            f"'{text[:40]}' is no value for {key}: give a whole number from {known.least} to {known.most}"
        )
    engine.catalog.set_setting(key, text)
    use(engine)
    return Setting(key, value(engine, key), known.default, known.meaning)


def reach(engine: Engine, image: str) -> Reach:
    """What a branch of an image may reach that has no parent."""
    own = engine.image(image).egress
    if own is not None:
        return without_groups(own)
    return Reach(ReachMode.OPEN if value(engine, "egress.default") else ReachMode.OFF)


def policy(engine: Engine) -> CheckpointPolicy:
    """When a branch is committed by itself that has no policy of its own."""
    if not value(engine, "policy.default"):
        return CheckpointPolicy()
    return CheckpointPolicy(every_s=value(engine, "policy.every-s"), idle_s=value(engine, "policy.idle-s"))


def use(engine: Engine) -> None:
    """Let the settings take effect."""
    level, frame_pages = value(engine, "store.level"), value(engine, "store.frame-pages")
    engine.store.tune(level=level, frame_pages=frame_pages)
    engine.machines.members.changed.set()
    engine.acting.heard.set()
    ours.setLevel(LEVELS[value(engine, "log.level")])


def _known(key: str) -> KnownSetting:
    if key not in SETTINGS:
        raise NotFound(f"there is no setting '{key[:40]}': `vertui config` lists those there are")
    return SETTINGS[key]
