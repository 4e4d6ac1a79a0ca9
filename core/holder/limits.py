"""What the holder and all that it starts need of the system's resource limits: raised as far as may be, or refused."""

import resource

from core.errors import Unsupported

MOST_DESCRIPTORS = 65536  # what closes all of them before an exec may have to try each
NEEDED = {
    resource.RLIMIT_NOFILE: ("n", 512, "open files"),
    resource.RLIMIT_AS: ("v", 8 << 30, "bytes of address space"),
    resource.RLIMIT_DATA: ("d", 4 << 30, "bytes of data"),
    resource.RLIMIT_FSIZE: ("f", 16 << 30, "bytes in a file"),
    resource.RLIMIT_STACK: ("s", 8 << 20, "bytes of stack"),
}
"""By limit: the letter `ulimit` knows it by, the least that can be worked with, and of what."""
UNLIMITED = resource.RLIM_INFINITY


def raise_limits() -> None:
    """Raise every soft limit to its hard one, and that as far as is needed; Unsupported, by name, if it may not be."""
    for limit, (letter, least, what) in NEEDED.items():
        try:
            resource.setrlimit(limit, _raised(limit, least))
        except (OSError, ValueError) as error:
            hard = resource.getrlimit(limit)[1]
            raise Unsupported(
                f"only {hard} {what} are allowed here and {least} are needed: raise the limit (`ulimit -H{letter}`)"
            ) from error


def _raised(limit: int, least: int) -> tuple[int, int]:
    hard = resource.getrlimit(limit)[1]
    if hard != UNLIMITED and hard < least:
        return least, least
    most = {resource.RLIMIT_NOFILE: MOST_DESCRIPTORS, resource.RLIMIT_STACK: least}.get(limit, UNLIMITED)
    soft = most if hard == UNLIMITED else hard if most == UNLIMITED else min(hard, most)
    return soft, hard
