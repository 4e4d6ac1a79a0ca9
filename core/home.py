"""Where state lives: one directory per home, and a short runtime directory for its sockets.

VERTUI_HOME (default $XDG_DATA_HOME/vertui)          catalog.db lock reserve images/ commits/ layers/ cache/ log/ ssh/
                                                     secrets.json authority.pem tokens.json builds.json toured
                                                     screen.json journal/ chains/ swarms/
$XDG_RUNTIME_DIR, /run/user/UID or /tmp: vertui-HASH  daemon.sock holder.sock m/ID.qmp …
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from core.errors import UsageError
from core.files import disk_error
from core.sockets import check_way, make_private

LONGEST_SOCKET_PATH = 90  # AF_UNIX allows 107; the rest is room for a machine's names


@dataclass(frozen=True)
class Home:
    """The paths of one home. Two homes never share a path, a socket or a process."""

    root: Path
    runtime: Path

    @property
    def catalog(self) -> Path:
        """The SQLite file: the one place where state becomes true."""
        return self.root / "catalog.db"

    @property
    def lock(self) -> Path:
        """Held by the daemon while it lives: one writer per home."""
        return self.root / "lock"

    @property
    def reserve(self) -> Path:
        """Room kept for the verbs that free some."""
        return self.root / "reserve"

    @property
    def holder_lock(self) -> Path:
        """Held by the holder while it lives; its pid, and where its sockets lie."""
        return self.root / "holder.lock"

    @property
    def secrets(self) -> Path:
        """Values that are handed to commands: by their names, for nobody else to read."""
        return self.root / "secrets.json"

    @property
    def authority(self) -> Path:
        """The key and certificate of whom guests take the swapper's word from."""
        return self.root / "authority.pem"

    @property
    def tokens(self) -> Path:
        """Digests of the tokens that let in whoever comes by the daemon's port."""
        return self.root / "tokens.json"

    @property
    def screen(self) -> Path:
        """How the terminal UI was left, to be found so again."""
        return self.root / "screen.json"

    @property
    def images(self) -> Path:
        """One directory per image id."""
        return self.root / "images"

    @property
    def commits(self) -> Path:
        """One directory per commit id."""
        return self.root / "commits"

    @property
    def layers(self) -> Path:
        """The qcow2 layers of commits and machines."""
        return self.root / "layers"

    @property
    def chains(self) -> Path:
        """What the disks of machines lie on, a file a machine."""
        return self.root / "chains"

    @property
    def journal(self) -> Path:
        """What was said and done in branches, a file a branch."""
        return self.root / "journal"

    @property
    def swarms(self) -> Path:
        """How far swarms have come, a file each."""
        return self.root / "swarms"

    @property
    def views(self) -> Path:
        """Where commits' contents are mounted: not among the sockets, which the holder removes while they are."""
        return self.root / "views"

    @property
    def cache(self) -> Path:
        """Downloads and root trees; may be deleted at any time."""
        return self.root / "cache"

    @property
    def builds(self) -> Path:
        """How long the steps of an image build took here."""
        return self.root / "builds.json"

    @property
    def toured(self) -> Path:
        """There once somebody was shown the first steps here."""
        return self.root / "toured"

    @property
    def ssh_key(self) -> Path:
        """The private key by which whoever owns this home logs in to its branches."""
        return self.root / "ssh" / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The host keys of branches, for ssh."""
        return self.ssh_key.with_name("known_hosts")

    @property
    def log(self) -> Path:
        """What the holder, the daemon and machines print."""
        return self.root / "log"

    @property
    def damage(self) -> Path:
        """Records of what machines wanted to read and could not, for it was not as it was written."""
        return self.log / "damage.json"

    @property
    def daemon_socket(self) -> Path:
        """The API."""
        return self.runtime / "daemon.sock"

    @property
    def holder_socket(self) -> Path:
        """The holder's requests."""
        return self.runtime / "holder.sock"

    @property
    def machines(self) -> Path:
        """Sockets of machines."""
        return self.runtime / "m"

    def make(self) -> None:
        """Create every directory, private to this user. UsageError for a directory that holds something else."""
        self._refuse_others()
        # What tells that it is a home comes first.
        for path in (self.root, self.commits, self.layers, self.chains, self.images, self.cache, self.log):
            _private(path)
        self.make_runtime()
        check_way(self.runtime)

    def _refuse_others(self) -> None:
        """Nothing is made in a directory of somebody's, such as /tmp, nor is it closed to all but this user."""
        try:
            found = {path.name for path in self.root.iterdir()}
        except OSError:  # none yet; or what is wrong with it is said when it is to be used
            return
        ours = {path.name for path in (self.commits, self.layers, self.catalog, self.holder_lock)}
        if found - {"lost+found"} and not found & ours:
            raise UsageError(
                f"{self.root} is no home of vertui, and not empty: set VERTUI_HOME to a new or empty one"
            )

    def make_runtime(self) -> None:
        """Create where sockets lie."""
        for path in (self.runtime, self.machines):
            _private(path)


def find_home(root: str | None = None) -> Home:
    """The home named by `root`, VERTUI_HOME or the default. Creates nothing."""
    path = _root(
        root or os.environ.get("VERTUI_HOME") or f"{_absolute('XDG_DATA_HOME', '~/.local/share')}/vertui"
    )
    digest = hashlib.blake2s(os.fsencode(path), digest_size=6).hexdigest()
    runtime = _runtime_parent() / f"vertui-{digest}"
    if len(os.fsencode(runtime)) + len("/m/0123456789abcdef.console") > LONGEST_SOCKET_PATH:
        raise UsageError(f"{runtime} is too long for sockets: set XDG_RUNTIME_DIR to a shorter directory")
    return Home(path, runtime)


def _root(named: str) -> Path:
    try:
        return Path(named).expanduser().resolve()
    except RuntimeError as error:  # no HOME, and no such user; or links that lead to each other
        raise UsageError(f"'{named[:60]}' leads nowhere ({error}): set VERTUI_HOME to a directory") from error
    except OSError as error:
        raise UsageError(f"'{named[:60]}' cannot be used as VERTUI_HOME: {error.strerror}") from error


def _absolute(variable: str, default: str) -> str:
    """The directory an XDG variable names; one that is not absolute is to be ignored, says the specification."""
    value = os.environ.get(variable, "")
    return value if value.startswith("/") else default


def _runtime_parent() -> Path:
    """XDG_RUNTIME_DIR, /run/user/UID or /tmp: the first that we may write to."""
    user = Path(f"/run/user/{os.getuid()}")
    for path in (Path(_absolute("XDG_RUNTIME_DIR", str(user))), user):
        if os.access(path, os.W_OK):
            return path
    return Path("/tmp")


def _private(path: Path) -> None:
    try:
        make_private(path)
    except OSError as error:
        raise disk_error(error, path) from error
