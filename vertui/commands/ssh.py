"""The way into a branch: connections to its ports, and ssh."""

import os
import shlex
import signal
from typing import Annotated

import typer

from core.errors import Unsupported
from core.home import Home
from core.inward import HOST_SUFFIX
from core.python import program
from vertui.options import AfterDashes, BranchName, new_app
from vertui.plumbing import hand_on, join
from vertui.session import connect as connected
from vertui.session import own_home

app = new_app()


@app.command()
def connect(
    branch: BranchName,
    port: Annotated[
        int, typer.Argument(metavar="PORT", help="A TCP port.", min=1, max=65535, show_default=False)
    ],
    ssh: Annotated[
        bool, typer.Option("--ssh", help="Let this home's ssh key in first, and note the branch's host key.")
    ] = False,
    hand: Annotated[
        bool,
        typer.Option(
            "--pass", help="Pass the connection itself to standard output, as ssh's ProxyUseFdpass."
        ),
    ] = False,
) -> None:
    """Join standard input and output to a TCP port inside a branch, whatever it listens on but its own loopback.

    Each direction ends by itself, and goes as fast as it is taken. The connection goes on when the daemon ends, waits
    while the branch is paused, and is reset when the branch is restored, suspended or pruned.

    \b
    Examples:
      printf 'GET / HTTP/1.0\\r\\n\\r\\n' | vertui connect b1 8000
      ssh -o ProxyCommand='vertui connect b1 2222' b1
    """
    client, name = connected(), branch.removesuffix(HOST_SUFFIX)
    if ssh:
        client.ssh(name)
    with client.dial(name, port) as connection:
        (hand_on if hand else join)(connection)


@app.command(cls=AfterDashes, context_settings={"ignore_unknown_options": True})
def ssh(
    ctx: typer.Context,
    branch: BranchName,
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SSH-OPTION...]", help="For ssh itself.", show_default=False),
    ] = None,
) -> None:
    """Log in to a branch by ssh, as root, or run a command there as ssh does.

    The branch is known by its own host key, which the daemon is told by the machine itself; the key to log in with is
    this home's. `vertui ssh-config` lets ssh and all that is built on it do the same by themselves.

    \b
    Examples:
      vertui ssh main
      vertui ssh b1 -L 8080:localhost:80 -A
      vertui ssh b1 -- tail -f /var/log/build.log
    """
    home, host = own_home(), connected().ssh(branch.removesuffix(HOST_SUFFIX))
    given = [word for name, value in settings_of(home) for word in ("-o", f"{name}={value}")]
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what it starts would
    try:
        os.execvp("ssh", ["ssh", *(options or ()), *given, host.name, *ctx.obj])
    except FileNotFoundError as error:
        raise Unsupported("ssh is missing: apt-get install openssh-client") from error


@app.command("ssh-config")
def ssh_config() -> None:
    """Print what lets ssh, scp, sftp, rsync, git and editors reach each branch as BRANCH.vertui, for ~/.ssh/config.

    Nothing is checked less for it: every branch is known by its own host key, and one that has another is refused.

    \b
    Examples:
      vertui ssh-config >> ~/.ssh/config
      rsync -a ./project/ b1.vertui:/srv/project
      git clone b1.vertui:/srv/app
    """
    home = own_home()
    print(f"Host *{HOST_SUFFIX}")
    for name, value in settings_of(home):
        print(f"    {name} {value}")


def settings_of(home: Home) -> list[tuple[str, str]]:
    """What ssh is to be told, by the names of ssh_config(5)."""
    here = ["/usr/bin/env", f"VERTUI_HOME={home.root}", *program("vertui", "connect", "--ssh", "--pass")]
    return [
        ("ProxyCommand", f"{shlex.join(here).replace('%', '%%')} %h %p"),
        ("ProxyUseFdpass", "yes"),
        ("User", "root"),
        ("IdentityFile", _quoted(str(home.ssh_key))),
        ("IdentitiesOnly", "yes"),
        ("UserKnownHostsFile", _quoted(str(home.known_hosts))),
        ("StrictHostKeyChecking", "yes"),
    ]


def _quoted(path: str) -> str:
    """A path as one word of ssh's, in which nothing is expanded."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'
