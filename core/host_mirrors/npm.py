"""npm: the registries that its configuration names (docs.npmjs.com/cli/configuring-npm/npmrc)."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.host_mirrors.sieve import Sieve, is_text

URLS = ("registry", "proxy", "https-proxy", "http-proxy")
PLAIN = ("noproxy", "strict-ssl", "fetch-timeout", "fetch-retries", "maxsockets")
SECRETS = ("_auth", "_authtoken", "_password", "username", "email", "always-auth")
OF_SCOPE = re.compile(r"@[a-z0-9._~-]+:registry", re.IGNORECASE)
OF_REGISTRY = re.compile(rf"//\S+:({'|'.join(SECRETS)})", re.IGNORECASE)
VARIABLE = re.compile(r"\$\{([^}]+)\}")
PREFIX = "npm_config_"
MOST_BYTES = 1 << 20


def settings(environ: Mapping[str, str], root: Path, sieve: Sieve) -> dict[str, str]:
    """What a guest's npm is to have."""
    told: dict[str, str] = {}
    for path in _files(environ, root):
        told |= _of_file(path, environ)
    for name, value in environ.items():
        if name.lower().startswith(PREFIX):
            told[name.lower().removeprefix(PREFIX).replace("_", "-")] = value
    passed = {key: _passed(key, value, sieve) for key, value in told.items()}
    return {key: value for key, value in passed.items() if value and is_text(key) and is_text(value)}


def _passed(key: str, value: str, sieve: Sieve) -> str:
    if key in URLS or OF_SCOPE.fullmatch(key):
        return sieve.url(f"npm's {key}", value)
    if key.lower() in SECRETS or OF_REGISTRY.fullmatch(key):
        return value if sieve.secret(f"npm's {key}") else ""
    if key == "cafile":
        return sieve.file(value)
    return value if key in PLAIN else ""


def _files(environ: Mapping[str, str], root: Path) -> Iterator[Path]:
    """In the order in which later ones count more. Where the global one is depends on who built npm."""
    variables = {name.lower(): value for name, value in environ.items()}
    if told := variables.get(f"{PREFIX}globalconfig"):
        yield Path(told)
    else:
        yield from (root / "usr/etc/npmrc", root / "usr/local/etc/npmrc", root / "etc/npmrc")
    if told := variables.get(f"{PREFIX}userconfig"):
        yield Path(told)
    elif environ.get("HOME"):
        yield Path(environ["HOME"]) / ".npmrc"


def _of_file(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Its keys; of a variable that is not set npm keeps the name."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode(errors="replace")
    except OSError:
        return {}
    found = {}
    for line in text.split("\n"):
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith((";", "#", "[")):
            told = VARIABLE.sub(lambda name: environ.get(name[1], name[0]), value.strip())
            found[key.strip()] = told.strip("\"'")
    return found
