"""`@apt`, `@pip`, `@npm`, `@git` in a rule of egress: the servers that a guest's own configuration names for these."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence

from core.engine.context import Engine
from core.engine.guests import ASK_DEADLINE_S, output_of
from core.engine.live import Live
from core.errors import UsageError, VertuiError
from core.reach import GROUPS, destination

FILES = {
    "@apt": "/etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/apt.conf /etc/apt/apt.conf.d/*",
    "@pip": "/etc/pip.conf /etc/xdg/pip/pip.conf ~/.config/pip/pip.conf ~/.pip/pip.conf",
    "@npm": "/etc/npmrc /usr/etc/npmrc /usr/local/etc/npmrc ~/.npmrc",
    "@git": "/etc/gitconfig ~/.gitconfig ~/.config/git/config",
}
VARIABLES = "/etc/environment"  # proxies, for all of them
INSTEAD = {
    "@apt": re.compile(r"^\s*(deb\s|uris:)", re.MULTILINE | re.IGNORECASE),
    "@pip": re.compile(r"^\s*index[-_]url\s*[=:]", re.MULTILINE | re.IGNORECASE),
    "@npm": re.compile(r"^\s*registry\s*=", re.MULTILINE),
    "@git": re.compile(r"^\s*insteadof\s*=", re.MULTILINE | re.IGNORECASE),
}
"""What names servers in place of the usual ones; without it others are used beside them."""
USUAL = {
    "@apt": ("deb.debian.org:80", "deb.debian.org:443", "security.debian.org:80", "security.debian.org:443"),
    "@pip": ("pypi.org:443", "files.pythonhosted.org:443"),
    "@npm": ("registry.npmjs.org:443",),
    "@git": ("github.com:443", "github.com:22", "gitlab.com:443", "gitlab.com:22"),
}
"""Where nothing else is configured."""
URL = re.compile(
    r"(?P<scheme>https?|ssh|git)://(?:[^\s/@\"']*@)?(?P<host>[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?"
)
PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}
LONGEST_BYTES = 256 * 1024
MOST_SERVERS = 32  # of a group: the guest's files may say anything


async def expanded(engine: Engine, branch: str, rules: Sequence[str]) -> tuple[str, ...]:
    """Rules with servers in the place of groups: those that the guest is configured for, or the usual ones where it
    says nothing, or does not run.
    """
    found: list[str] = []
    for rule in rules:
        found += await _servers(engine, branch, rule) if rule in GROUPS else [rule]
    return tuple(dict.fromkeys(found))


async def _servers(engine: Engine, branch: str, group: str) -> Sequence[str]:
    live = engine.machines.live.get(engine.branch(branch).id)
    told = b""
    if live is not None:
        with contextlib.suppress(VertuiError):
            told = await configuration(live, group)
    return servers_of(group, os.fsdecode(told))


async def configuration(live: Live, *groups: str, deadline_s: float = ASK_DEADLINE_S) -> bytes:
    """The files of a guest that name the servers of some groups, as far as that is not very much; GuestFailed."""
    files = " ".join(FILES[group] for group in groups)
    line = f"cat {files} {VARIABLES} 2>/dev/null | head -c {LONGEST_BYTES}"
    return await output_of(live, ("sh", "-c", line), deadline_s)


def servers_of(group: str, text: str) -> tuple[str, ...]:
    """The servers that programs use which are configured by these files."""
    usual = () if INSTEAD[group].search(text) else USUAL[group]
    return tuple(dict.fromkeys((*servers_in(text), *usual)))[: MOST_SERVERS + len(usual)]


def servers_in(text: str) -> Iterator[str]:
    """The servers of the URLs in configuration files, as rules; what is commented out is none."""
    for line in text.split("\n"):
        if line.lstrip().startswith(("#", ";", "//")):
            continue
        for match in URL.finditer(line):
            with contextlib.suppress(UsageError):
                rule = f"{match['host']}:{match['port'] or PORTS[match['scheme']]}"
                destination(rule)
                yield rule
