"""Mirrors: what of a host's settings decides how its programs get what they fetch, as a value that a guest can have."""

from msgspec import Struct

MOST_BYTES = 256 * 1024  # of all texts together


class DebianArchive(Struct, frozen=True):
    """Debian's archive as a host gets it: a line of sources.list, and the suite that it is for."""

    suite: str
    line: str


class Mirrors(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a host, each as its own program has it: lines of apt.conf; keys of pip and npm; variables, such as
    http_proxy; certificates (PEM) that the host trusts and Debian does not bring along. `left_out` says in a line each
    what a guest is not to have.
    """

    archives: tuple[DebianArchive, ...] = ()
    apt: tuple[str, ...] = ()
    pip: dict[str, str] = {}
    npm: dict[str, str] = {}
    variables: dict[str, str] = {}
    certificates: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Is there nothing for a guest?"""
        return not (self.archives or self.apt or self.pip or self.npm or self.variables or self.certificates)

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is said, but for the certificates."""
        lines = (text for one in self.archives for text in (one.suite, one.line))
        named = (self.pip, self.npm, self.variables)
        return (
            *lines,
            *self.apt,
            *self.left_out,
            *(text for each in named for pair in each.items() for text in pair),
        )


class HandedMirrors(Struct, frozen=True):
    """What came of handing a host's mirrors in to a branch, or of taking them back. `stay` are files that somebody has
    changed since they were written.
    """

    branch: str
    handed_in: bool
    stay: tuple[str, ...] = ()
