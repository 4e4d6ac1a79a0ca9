"""All of the host's settings, looked up."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from core.host_mirrors import apt, npm, pip
from core.host_mirrors.sieve import BUNDLE, Sieve, is_text
from core.mirrors import Mirrors

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")
NOT_BY_PROXY = "no_proxy"
TRUST = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
    "PIP_CERT",
)  # fmt: skip
"""Variables by which programs that bring certificates of their own are told to take the system's."""
PACKAGED = "usr/share/ca-certificates"
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
MOST_CERTIFICATES = 64


def found(
    *, passwords: bool = False, environ: Mapping[str, str] = os.environ, root: Path = Path("/")
) -> Mirrors:
    """What a guest is to have so that it reaches what this host does; with `passwords` also those in it."""
    sieve, known = Sieve(passwords=passwords), apt.dump(environ)
    told = Mirrors(
        apt.archives(known, sieve), apt.options(known, sieve), pip.settings(environ, root, sieve),
        npm.settings(environ, root, sieve), _variables(environ, sieve), _certificates(root),
    )  # fmt: skip
    return Mirrors(
        told.archives, told.apt, told.pip, told.npm, told.variables, told.certificates, sieve.left_out
    )


def _variables(environ: Mapping[str, str], sieve: Sieve) -> dict[str, str]:
    kept = {}
    for name, value in environ.items():
        if name.lower() in PROXIES:
            kept[name] = sieve.url(name, value)
        elif name.lower() == NOT_BY_PROXY:
            kept[name] = value
        elif name in TRUST:
            kept[name] = sieve.file(value)
    return {name: value for name, value in kept.items() if value and is_text(value)}


def _certificates(root: Path) -> tuple[str, ...]:
    """Those that the host trusts beside what the Debian package brings, which a guest has."""
    packaged = root / PACKAGED
    if not packaged.is_dir():
        return ()
    trusted = _in(root / BUNDLE.lstrip("/"))
    theirs = {one for path in packaged.rglob("*.crt") for one in _in(path)}
    return tuple(one for one in trusted if one not in theirs)[:MOST_CERTIFICATES]


def _in(path: Path) -> dict[str, None]:
    try:
        return dict.fromkeys(CERTIFICATE.findall(path.read_text(errors="replace")))
    except OSError:
        return {}
