"""The mount of the views, in a mount namespace of our own.

The namespace's end unmounts. Root of a user namespace can mount, too, when namespace and descriptor are its own.
Sources: mount(2), Linux Documentation/filesystems/fuse/fuse.rst.
"""

import os
from pathlib import Path

from core import host
from core.errors import Unsupported
from core.linux import checked, libc, unmount

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MS_REC, MS_SLAVE = (
    1 << 1,
    1 << 2,
    1 << 3,
    1 << 10,
    1 << 14,
    1 << 19,
)


def mount(directory: Path) -> int:
    """Mount views at `directory`; the /dev/fuse descriptor that serves them, the caller's to close.

    Call it in a private mount namespace: its mounts become slaves of the host's, so that none of ours shows there.
    """
    try:
        descriptor = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise Unsupported(
            f"views need /dev/fuse: {error.strerror}: {host.device_fix(Path('/dev/fuse'), 'fuse') or 'modprobe fuse'}"
        ) from error
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        checked(libc.mount(None, b"/", None, MS_REC | MS_SLAVE, None), "mount")
        unmount(directory)  # one whose descriptor a dead daemon took with it
        options = f"fd={descriptor},rootmode=40700,user_id={os.getuid()},group_id={os.getgid()}"
        flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME
        checked(libc.mount(b"views", os.fsencode(directory), b"fuse", flags, options.encode()), "mount")
    except OSError as error:
        os.close(descriptor)
        raise Unsupported(f"cannot mount views at {directory}: {error.strerror}") from error
    return descriptor
