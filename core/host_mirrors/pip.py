"""pip: the indexes that its configuration names (pip.pypa.io/en/stable/topics/configuration)."""

import configparser
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.host_mirrors.sieve import Sieve, is_text

URLS = ("index-url", "extra-index-url", "find-links", "proxy")
PLAIN = ("trusted-host", "timeout", "retries")
SECTIONS = ("global", "install")  # of what a guest's pip does, the latter counts more
PREFIX = "PIP_"
ALIASES = {"default-timeout": "timeout"}


def settings(environ: Mapping[str, str], root: Path, sieve: Sieve) -> dict[str, str]:
    """What a guest's pip is to have."""
    told: dict[str, str] = {}
    for path in _files(environ, root):
        told |= _of_file(path)
    for name, value in environ.items():
        if name.startswith(PREFIX):
            told[_key(name.removeprefix(PREFIX))] = value
    passed = {key: sieve.urls(f"pip's {key}", told[key].split()) for key in URLS if key in told}
    passed |= {key: " ".join(told[key].split()) for key in PLAIN if key in told}
    passed["cert"] = sieve.file(told.get("cert", ""))
    return {key: value for key, value in passed.items() if value and is_text(value)}


def _files(environ: Mapping[str, str], root: Path) -> Iterator[Path]:
    """In the order in which later ones count more."""
    own = environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return
    home = environ.get("HOME", "")
    for directory in reversed(environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
        yield root / directory.lstrip("/") / "pip/pip.conf"
    yield root / "etc/pip.conf"
    if home:
        yield Path(home) / ".pip/pip.conf"
        yield Path(environ.get("XDG_CONFIG_HOME") or f"{home}/.config") / "pip/pip.conf"
    if environ.get("VIRTUAL_ENV"):
        yield Path(environ["VIRTUAL_ENV"]) / "pip.conf"
    if own:
        yield Path(own)


def _of_file(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeError):
        return {}
    sections = (dict(parser.items(section)) for section in SECTIONS if parser.has_section(section))
    return {_key(name): value for section in sections for name, value in section.items()}


def _key(name: str) -> str:
    key = name.lower().replace("_", "-")
    return ALIASES.get(key, key)
