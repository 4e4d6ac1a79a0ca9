"""A host's mirrors handed in to a guest, as files that its own programs read: what works on the host works there.

It is done when a machine is started from its image, and whenever somebody asks; forks have these files as they have any
other. `core.engine.taken_back` is how they go again.
"""

import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress

from core.engine.context import Engine
from core.engine.guests import ASK_DEADLINE_S, output_of
from core.engine.live import Live
from core.engine.operations import operation
from core.engine.taken_back import marked, without_all
from core.errors import GuestFailed, UsageError
from core.guest.scripts import guest_script
from core.guest.streams import CommandExit
from core.mirrors import MOST_BYTES, HandedMirrors, Mirrors
from core.names import spelled
from core.tar import END, gnu_header, padding

SOURCES = ("/etc/apt/sources.list.d/0000sources.list", "/etc/apt/sources.list")
"""Where an image has its own: the first is mmdebstrap's."""

OPTIONS = "/etc/apt/apt.conf.d/90vertui-host"
PIP, NPM, ENVIRONMENT = "/etc/pip.conf", ("/etc/npmrc", "/root/.npmrc"), "/etc/environment"
RELEASE = "/etc/os-release"
READ = (RELEASE, *SOURCES, OPTIONS, PIP, *NPM, ENVIRONMENT)
CERTIFICATES = "/usr/local/share/ca-certificates/vertui-host-{0}.crt"
CODENAME = re.compile(rb"^VERSION_CODENAME=([a-z]+)$", re.MULTILINE)
LARGEST = 64 * 1024  # of a guest's file that is read
READ_ALL = 'for file; do head -c {0} "$file" 2>/dev/null || :; printf "\\0"; done'
TRUST = (
    " && for one in /usr/local/share/ca-certificates/vertui-host-*.crt; do"
    ' cat "$one" >> /etc/ssl/certs/ca-certificates.crt'
    ' && link="/etc/ssl/certs/$(openssl x509 -noout -hash -in "$one")" && n=0'
    ' && while [ -e "$link.$n" ] || [ -L "$link.$n" ]; do n=$((n + 1)); done'
    ' && ln -s "$one" "$link.$n" || exit 1; done'
)
"""What `update-ca-certificates` comes to, which takes ten times as long."""


def check(mirrors: Mirrors) -> None:
    """UsageError for what no configuration file can hold: who asks by the API may send anything."""
    texts = mirrors.texts
    if sum(map(len, (*texts, *mirrors.certificates))) > MOST_BYTES:
        raise UsageError(f"mirrors: they may take {MOST_BYTES} characters together")
    for text in (*texts, *(line for one in mirrors.certificates for line in one.split("\n"))):
        if not text.isprintable():
            raise UsageError(f"mirrors: '{text[:40]!a}' is no line of a configuration file")


async def hand_in(live: Live, mirrors: Mirrors) -> None:
    """Write a host's mirrors into a guest that runs; GuestFailed says why it cannot be. What a file of the image's own
    says stays, but for apt's sources.
    """
    files = wanted(mirrors, await _read(live))
    if files:
        await _write(live, files)


async def take_back(live: Live) -> tuple[str, ...]:
    """Have a guest that runs without any host's mirrors: the files that were changed since, which stay as they are.
    GuestFailed says why it cannot be; done again it goes on.
    """
    written, removed, stay = without_all(await _read(live), LARGEST)
    if written:
        await _write(live, written)
    await output_of(live, guest_script("untrust", *removed), ASK_DEADLINE_S)
    return tuple(stay)


async def change(engine: Engine, request_id: str, name: str, mirrors: Mirrors | None) -> HandedMirrors:
    """Hand a host's mirrors in to a branch in the place of those it has, or without any take those back."""
    check(mirrors or Mirrors())
    row, live = engine.branch(name), engine.machine(name)
    what = "taken back" if mirrors is None else "handed in"
    async with operation(engine, request_id, "mirrors", f"mirrors {what}: {row.name}"):
        stay = await take_back(live)
        if mirrors is not None and not mirrors.is_empty:
            await hand_in(live, mirrors)
    engine.events.publish("branch", row.name, f"{row.name}: mirrors {what}")
    return HandedMirrors(row.name, mirrors is not None, stay)


def wanted(mirrors: Mirrors, present: Mapping[str, bytes]) -> dict[str, str]:
    """The files to write, by what those are that a guest has."""
    found = CODENAME.search(present.get(RELEASE, b""))
    suite = found[1].decode() if found else ""
    suites = {suite, f"{suite}-updates", f"{suite}-security"}
    lines = [one.line for one in mirrors.archives if one.suite in suites]
    files: dict[str, str] = {}
    sources = next((path for path in SOURCES if present.get(path)), SOURCES[-1])
    if any(one.suite == suite for one in mirrors.archives) and set(lines) != _lines(
        present.get(sources, b"")
    ):
        files[sources] = marked("#", lines, os.fsdecode(present.get(sources, b"")))
    if mirrors.apt:
        files[OPTIONS] = marked("//", mirrors.apt)
    if mirrors.pip and not present.get(PIP):
        files[PIP] = marked("#", ("[global]", *_keys(mirrors.pip, " = ")))
    for path in NPM if mirrors.npm else ():
        if not present.get(path):
            files[path] = marked(";", _keys(mirrors.npm, "="))
    if mirrors.variables:
        own = os.fsdecode(present.get(ENVIRONMENT, b""))
        files[ENVIRONMENT] = own + marked("#", _keys(mirrors.variables, "="))
    numbered = enumerate(mirrors.certificates)
    return files | {CERTIFICATES.format(number): f"{text}\n" for number, text in numbered}


def _lines(text: bytes) -> set[str]:
    """Of a list of sources, but for what is commented out."""
    lines = map(str.strip, os.fsdecode(text).split("\n"))
    return {line for line in lines if line and not line.startswith("#")}


def _keys(told: Mapping[str, str], equals: str) -> Iterator[str]:
    return (f"{key}{equals}{value}" for key, value in told.items())


async def _read(live: Live) -> dict[str, bytes]:
    script = ("sh", "-c", READ_ALL.format(LARGEST), "sh", *READ)
    told = (await output_of(live, script, ASK_DEADLINE_S)).split(b"\0")
    if len(told) != len(READ) + 1:
        raise GuestFailed("the guest does not tell what its files of mirrors are")
    return dict(zip(READ, told, strict=False))


async def _write(live: Live, files: Mapping[str, str]) -> None:
    trust = TRUST if CERTIFICATES.format(0) in files else ""
    agent, said = await live.agent(), b""
    line = f"tar -x -C / --no-overwrite-dir --no-same-owner -f -{trust}"
    stream = await agent.exec(("sh", "-c", line), stdin=True, timeout_s=ASK_DEADLINE_S, inner=True)
    await stream.write_stdin(_archive(files))
    await stream.eof()
    async for item in stream:
        if isinstance(item, CommandExit):
            with suppress(GuestFailed):
                await agent.release(stream.id)
            if item.code:
                reason = spelled(said.strip().split(b"\n")[-1]) or f"exit status {item.code}"
                raise GuestFailed(f"the guest does not take the host's mirrors: {reason}")
            return
        said = (said + item.data)[-2000:]


def _archive(files: Mapping[str, str]) -> bytes:
    """As tar has them, for all to read."""
    made = b""
    for path, text in files.items():
        data = os.fsencode(text)
        member = tarfile.TarInfo(path.lstrip("/"))
        member.size, member.mode = len(data), 0o644
        made += gnu_header(member) + data + padding(len(data))
    return made + END
