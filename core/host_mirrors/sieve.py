"""What of a host's settings may go into a guest: no password unasked, no file of the host, nothing on its loopback."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
"""The one file of a host that a guest has, too; what the host trusts comes along (`certificates`)."""
SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h", "ftp", "git", "ssh")


class Sieve:
    """Lets settings pass, and remembers what it did not let pass; with `passwords` also those that hold one."""

    def __init__(self, *, passwords: bool = False) -> None:
        self._passwords = passwords
        self._secret: list[str] = []
        self._local: list[str] = []

    @property
    def left_out(self) -> tuple[str, ...]:
        """What a user ought to know of, a line a reason."""
        lines = []
        if self._secret:
            asked = "`--mirrors with-passwords` hands them in"
            lines.append(f"not handed in, as they hold a password: {_listed(self._secret)} ({asked})")
        if self._local:
            lines.append(
                f"not handed in, as no branch reaches this host's own loopback: {_listed(self._local)}"
            )
        return tuple(lines)

    def secret(self, what: str) -> bool:
        """May a password, or what stands in place of one, pass?"""
        if not self._passwords:
            self._secret.append(what)
        return self._passwords

    def url(self, what: str, text: str) -> str:
        """The URL, or proxy, that a setting is; empty where a guest is not to have it."""
        host, secret = _parts(text)
        if not host or not is_text(text):
            return ""
        if is_loopback(host):
            self._local.append(what)
            return ""
        if secret and not self.secret(what):
            return ""
        return text

    def urls(self, what: str, texts: Iterable[str]) -> str:
        """Those of several that pass, in their order."""
        return " ".join(filter(None, (self.url(what, text) for text in texts)))

    def file(self, text: str) -> str:
        """A file that a setting names, where a guest has the same."""
        return text if text == BUNDLE else ""


def is_text(text: str) -> bool:
    """Is it one line that any configuration file takes?"""
    return text.isprintable() and '"' not in text and "\\" not in text


def is_loopback(host: str) -> bool:
    """Does a host's name or address mean the machine that is asked?"""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parts(text: str) -> tuple[str, bool]:
    """The host of a URL, empty where it is a file's or none, and whether somebody is named before it."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        if parts.scheme not in SCHEMES or text.startswith(("/", ".")):
            return "", False
        return (parts.hostname or "").lower(), parts.username is not None
    except ValueError:
        return "", False


def _listed(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))
