"""A wheel works whole wherever it is installed: every file is in it, and a folder of a user's is never imported."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import VERSION, python
from core.daemon.start import end_all
from core.home import Home, find_home
from core.image.recipe import _sources

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "core", "vertui", "assets")
FINDS = """
from core.image.recipe import _sources
from vertui.demo import ASSETS
print(sorted(str(path.relative_to(ASSETS)) for path in ASSETS.rglob("*") if path.is_file() and path.suffix != ".pyc"))
for part in _sources(): print(repr(part))
"""
SHARED = {
    "share/bash-completion/completions/vertui",
    "share/zsh/site-functions/_vertui",
    "share/fish/vendor_completions.d/vertui.fish",
    "share/man/man1/vertui.1",
}
HOSTILE = "raise SystemExit('a folder of the user was imported')\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made of a copy, as nothing must be left in the repository."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        place = ROOT / name
        if place.is_dir():
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(place, source / name, symlinks=True, ignore=unwanted)
        else:
            shutil.copy(place, source)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "-w", str(made), str(source)], check=True, stdin=subprocess.DEVNULL)
    [path] = made.iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `vertui` of an environment that has the wheel, and of this one only the libraries."""
    place = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    pip = [sys.executable, "-m", "pip", f"--python={place / 'bin' / 'python'}"]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return place / "bin" / "vertui"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """The home of a user who stands in a folder with packages of our names."""
    here = tmp_path / "here"
    for name in ("core", "vertui"):
        (here / name).mkdir(parents=True)
        (here / name / "__init__.py").write_text(HOSTILE)
    home = find_home(str(tmp_path / "home"))
    monkeypatch.setenv("VERTUI_HOME", str(home.root))
    monkeypatch.chdir(here)
    yield home
    end_all(home)
    shutil.rmtree(home.runtime, ignore_errors=True)


def files_of(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_every_file_is_in_it(wheel: Path) -> None:
    """All that lies in the packages but the maps for a newcomer: the agent, the recipe, the theme, the demo; and what
    shells and man look for.
    """
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {f"{top}/{name}" for top in ("core", "vertui") for name in files_of(ROOT / top)}
    assets = {
        f"vertui/assets/{part}/{name}"
        for part in ("completion", "demo", "swarms")
        for name in files_of(ROOT / "assets" / part)
    }
    shared = {name for name in packed if ".data/" in name}
    unpacked = {"core/README.md"} | {name for name in wanted if name.startswith("vertui/assets/")}
    assert packed - shared == (wanted - unpacked) | assets
    assert {name.partition(".data/data/")[2] for name in shared} == SHARED


def test_it_is_what_runs_and_no_folder_of_a_user(installed: Path, elsewhere: Home) -> None:
    def vertui(*argv: str) -> str:
        done = subprocess.run([installed, *argv], capture_output=True, text=True)
        assert done.returncode in (0, 7), (argv, done)
        assert not done.stderr, (argv, done)
        return done.stdout

    assert vertui("--version") == f"vertui {VERSION}\n"
    assert "fork" in vertui("--help")
    assert "image build" in vertui("ls")
    pid = int(vertui("daemon", "start").split("pid ")[1].split(",")[0])
    assert str(installed.parent) in Path(f"/proc/{pid}/cmdline").read_text()
    assert "missing" not in vertui("doctor")
    assert f"starts, pid {pid}" in vertui("daemon", "logs")
    assert vertui("daemon", "stop", "--all") == "everything ended\n"


def test_it_finds_its_files(installed: Path, elsewhere: Home) -> None:
    """The demo's, and all that names an image: the same as here, so that nothing is built again."""
    argv = [str(installed.with_name("python")), "-P", "-c", FINDS]
    demo, *named = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    assert demo == str(sorted(files_of(ROOT / "assets" / "demo")))
    assert named == [repr(part) for part in _sources()]


def test_a_module_of_ours_is_never_started_from_a_folder(elsewhere: Home) -> None:
    argv = python.program("vertui", "--version")
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == f"vertui {VERSION}\n"
