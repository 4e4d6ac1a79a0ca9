"""`vertui demo --ui`: the whole show on real machines, as fast as it goes, by whatever keys actions have, leaves
nothing but the image.
"""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.home import Home
from tests.conftest import full
from vertui.keymap import read_keymap
from vertui.stage.app import StagedApp
from vertui.stage.scenes import play

MOVED = 'fork = "f5"\nmark = "f7"\nwatch = "f9"\nturn = "f10"\nundo = "f6"\n'


def test_the_other_keys_are_free(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(MOVED)
    assert read_keymap([file]).problems == ()


@pytest.mark.skipif(not full(), reason="scripts/test --all: it takes a minute or two")
@pytest.mark.parametrize(("keep", "keys"), [(False, ""), (True, MOVED)])
def test_it_plays_to_its_end(home: Home, client: Client, *, keep: bool, keys: str) -> None:
    file = home.root / "keys.toml"
    file.write_text(keys)
    app = StagedApp(home, partial(play, keep=keep), 0.0, stays=False)
    file.unlink()
    asyncio.run(app.run_async(headless=True, size=(120, 36)))
    assert app.died is None and len(app.keymap.keys) == keys.count("=")
    tree = client.tree()
    assert [(branch.name, branch.trunk) for branch in tree.branches] == (
        [("demo", False), ("demo-b2", True)] if keep else []
    )
    assert [operation.verb for operation in client.log() if operation.verb in ("fork", "promote", "prune")]
