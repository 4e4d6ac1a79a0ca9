"""apt: where the host gets Debian from, and how it gets there."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.host_mirrors.sieve import Sieve, is_text
from core.mirrors import DebianArchive

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
COMPONENTS = {"main", "contrib", "non-free", "non-free-firmware"}
OPTIONS = ("Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv")
"""What decides whether a mirror is reached: proxies and clocks."""
OPTION = re.compile(r'(?P<name>[A-Za-z0-9:._/-]+) "(?P<value>[^"]*)";')
ONE_LINE = re.compile(
    r"deb(?:\s+\[(?P<options>[^\]]*)\])?\s+(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)"
)
MOST_BYTES = 1 << 20  # of a file
SHOULD_TAKE_S = 30.0


@dataclass(frozen=True)
class AptEntry:
    """A place that apt gets packages from."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""
    trusted: bool = False


def dump(environ: Mapping[str, str]) -> dict[str, str]:
    """apt's options as it would use them; none where there is no apt."""
    if shutil.which("apt-config", path=environ.get("PATH")) is None:
        return {}
    try:
        told = subprocess.run(
            ("apt-config", "dump"), env=environ, capture_output=True, timeout=SHOULD_TAKE_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = map(OPTION.fullmatch, told.decode(errors="replace").split("\n"))
    return {line["name"]: line["value"] for line in lines if line}


def options(known: Mapping[str, str], sieve: Sieve) -> tuple[str, ...]:
    """Those that a guest's apt is to have, as lines of its configuration."""
    kept = {name: value for name, value in known.items() if name.startswith(OPTIONS) and value}
    passed = {name: _passed(name, value, sieve) for name, value in kept.items()}
    return tuple(f'{name} "{value}";' for name, value in passed.items() if value and is_text(value))


def archives(known: Mapping[str, str], sieve: Sieve) -> tuple[DebianArchive, ...]:
    """Where the host gets Debian from, sorted."""
    if "Dir" not in known:
        return ()
    lines = {line for entry in _entries(_etc(known), known) for line in _lines(entry, sieve)}
    return tuple(DebianArchive(suite, line) for suite, line in sorted(lines))


def _passed(name: str, value: str, sieve: Sieve) -> str:
    if value.startswith("/"):
        return sieve.file(value)
    is_proxy = name.lower().startswith(("acquire::http::proxy", "acquire::https::proxy"))
    return sieve.url("apt's proxy", value) if is_proxy and value != "DIRECT" else value


def _etc(known: Mapping[str, str]) -> Path:
    return Path(known["Dir"]) / known.get("Dir::Etc", "etc/apt")


def _entries(etc: Path, known: Mapping[str, str]) -> Iterator[AptEntry]:
    main = etc / known.get("Dir::Etc::sourcelist", "sources.list")
    parts = etc / known.get("Dir::Etc::sourceparts", "sources.list.d")
    for path in (main, *sorted(parts.glob("*.list"))):
        yield from _of_lines(_read(path))
    for path in sorted(parts.glob("*.sources")):
        yield from _of_stanzas(_read(path))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _of_lines(text: str) -> Iterator[AptEntry]:
    for line in text.split("\n"):
        if match := ONE_LINE.fullmatch(line.partition("#")[0].strip()):
            told = dict(option.partition("=")[::2] for option in (match["options"] or "").split())
            trusted = told.get("trusted") == "yes"
            parts = tuple(match["components"].split())
            yield AptEntry(match["uri"], match["suite"], parts, told.get("signed-by", ""), trusted)


def _of_stanzas(text: str) -> Iterator[AptEntry]:
    """Of deb822 (sources.list(5))."""
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.split("\n"):
            if line.startswith("#") or not line.strip():
                continue
            if not line[0].isspace():
                name, _, line = line.partition(":")
            fields[name.lower()] = f"{fields.get(name.lower(), '')} {line.strip()}".strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled") == "no":
            continue
        components, trusted = tuple(fields.get("components", "").split()), fields.get("trusted") == "yes"
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield AptEntry(uri, suite, components, fields.get("signed-by", ""), trusted)


def _lines(entry: AptEntry, sieve: Sieve) -> Iterator[tuple[str, str]]:
    """Of Debian's own archive, which its key signs or nobody needs to: a line a component, as an image has them."""
    theirs = entry.signed_by and "debian-archive" not in entry.signed_by
    if theirs or not entry.components or not COMPONENTS.issuperset(entry.components):
        return
    if not entry.uri.startswith(("http://", "https://")) or not is_text(entry.suite):
        return
    if uri := sieve.url("an archive of apt's", entry.uri):
        trust = "trusted=yes" if entry.trusted else f"signed-by={KEYRING}"
        for component in entry.components:
            line = f"deb [{trust}] {uri.rstrip('/')}/ {entry.suite} {component}"
            yield entry.suite, line
