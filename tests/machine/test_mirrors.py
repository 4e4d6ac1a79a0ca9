"""What this host is configured for works in a branch: mirrors that the test serves on the host's side."""

import base64
import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pip
import pytest
from msgspec.structs import replace

from core.daemon.client import Client
from core.engine import authority
from core.home import Home
from core.host_mirrors import found
from core.mirrors import HandedMirrors
from core.verbs.egress import Egress
from core.verbs.mirrors import Mirrors
from core.verbs.up import Up
from tests.conftest import full, keep_nothing_waiting
from tests.guests import Guest, eventually
from tests.outside import MIRROR_PORT, OTHER, SERVER, serve_files, started_outside

AT = f"http://mirror.here:{MIRROR_PORT}"  # a name that the host's own file has, and no server
NPM = Path(shutil.which("npm") or "/nowhere").resolve()
CONTROL = "Package: hello-here\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: says it\n"
CONNECT = "timeout 60 python3 -c \"import socket; socket.create_connection(('{0}', {1}))\""
FETCH = f'timeout 300 python3 -c \'import urllib.request as u; u.urlretrieve("{AT}/{{0}}", "/root/{{0}}")\''
MANY = 1000 if full() else 50
HOLD = """
import select, socket, sys, time
many, server = int(sys.argv[1]), sys.argv[2]
opened = [socket.create_connection((server, (80, 443)[n % 2])) for n in range(many)]
kept, refused = opened[::2], opened[1::2]
print("open", flush=True)
waiting = select.poll()
for one in refused:
    waiting.register(one, 0)
left, times = {one.fileno() for one in refused}, []
while left:
    for number, _ in waiting.poll(120_000):
        left.discard(number)
        waiting.unregister(number)
        times.append(time.time())
for one in kept:
    one.sendall(b"x")
whole = sum(one.recv(1) == b"x" for one in kept)
print(len(times), whole, f"{times[-1] - times[0]:.3f}")
"""


def make_archive(root: Path) -> None:
    """Debian's archive, of one package."""
    package, binary = root / "package", root / "dists/bookworm/main/binary-amd64"
    for directory in (package / "DEBIAN", package / "usr/bin", binary):
        directory.mkdir(parents=True)
    (package / "DEBIAN/control").write_text(CONTROL)
    (package / "usr/bin/hello-here").write_text("#!/bin/sh\necho hello from here\n")
    (package / "usr/bin/hello-here").chmod(0o755)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", package, root / "hello-here.deb"], check=True)
    told = {"Filename": "hello-here.deb", **_sums(root / "hello-here.deb")}
    (binary / "Packages").write_text(CONTROL + "".join(f"{key}: {value}\n" for key, value in told.items()))
    sums = _sums(binary / "Packages")
    (root / "dists/bookworm/Release").write_text(
        "Suite: bookworm\nCodename: bookworm\nComponents: main\nArchitectures: amd64\nSHA256:\n"
        f" {sums['SHA256']} {sums['Size']} main/binary-amd64/Packages\n"
    )


def _sums(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    return {"Size": str(len(data)), "SHA256": hashlib.sha256(data).hexdigest()}


def make_index(root: Path) -> None:
    """An index of pip's, of one wheel; and pip itself, as an archive that Python runs."""
    (root / "simple/hello-there").mkdir(parents=True)
    name, about = "hello_there-1-py3-none-any.whl", "hello_there-1.dist-info"
    with zipfile.ZipFile(root / "simple/hello-there" / name, "w") as wheel:
        wheel.writestr("hello_there.py", "TEXT = 'hello from there'\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: hello-there\nVersion: 1\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    (root / "simple/hello-there/index.html").write_text(f'<a href="{name}">{name}</a>')
    with zipfile.ZipFile(root / "pip.zip", "w") as whole:
        for path in Path(pip.__file__).parent.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                whole.write(path, path.relative_to(Path(pip.__file__).parent.parent))


def make_registry(root: Path) -> None:
    """A registry of npm's, of one package; and npm itself with what runs it, as this host has them."""
    package, tar = root / "npm/source/package", root / "hello-npm.tgz"
    package.mkdir(parents=True)
    about = {"name": "hello-npm", "version": "1.0.0"}
    (package / "package.json").write_text(json.dumps(about))
    (package / "index.js").write_text("console.log('hello from npm')")
    subprocess.run(["tar", "-czf", tar, "-C", package.parent, package.name], check=True)
    digest = base64.b64encode(hashlib.sha512(tar.read_bytes()).digest()).decode()
    dist = {"tarball": f"{AT}/{tar.name}", "integrity": f"sha512-{digest}"}
    told = about | {"dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": about | {"dist": dist}}}
    (root / "npm/hello-npm").write_text(json.dumps(told))
    node = Path(shutil.which("node") or "").resolve()
    subprocess.run(["tar", "-cPf", root / "npm.tar", node, NPM.parents[1]], check=True)


@pytest.fixture
def client(idle_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Of a daemon where the servers are; this process is configured for the mirrors among them."""
    files, etc = tmp_path / "files", tmp_path / "etc"
    (etc / "apt/apt.conf.d").mkdir(parents=True)
    make_archive(files)
    make_index(files)
    if full() and NPM.exists():
        make_registry(files)
    (etc / "apt/sources.list").write_text(f"deb [trusted=yes] {AT} bookworm main\n")
    (etc / "apt.conf").write_text(f'Dir "{tmp_path}"; Dir::Etc "etc/apt"; Acquire::Retries "1";\n')
    (etc / "pip.conf").write_text(f"[global]\nindex-url = {AT}/simple\ntrusted-host = mirror.here\n")
    for name, value in {
        "APT_CONFIG": etc / "apt.conf", "PIP_CONFIG_FILE": etc / "pip.conf", "HOME": tmp_path,
        "NPM_CONFIG_REGISTRY": f"{AT}/npm", "NPM_CONFIG_GLOBALCONFIG": "/dev/null", "VERTUI_MIRRORS": "host",
        "https_proxy": "http://me:pass@mirror.here:1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    with started_outside(idle_home, partial(serve_files, directory=files)):
        client = Client(idle_home, starts=False)
        keep_nothing_waiting(client)
        yield client


HELD = (
    "cat /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/environment; ls /etc/apt/apt.conf.d /etc/pip.conf"
    " /etc/npmrc /root/.npmrc /usr/local/share/ca-certificates 2>&1; ls /etc/ssl/certs | sha256sum;"
    " sha256sum < /etc/ssl/certs/ca-certificates.crt"
)


def test_what_was_handed_in_is_taken_back(client: Client, tmp_path: Path) -> None:
    """Nothing of it is left in a branch that runs; asked for once more it is there again."""
    other = Home(tmp_path / "other", tmp_path / "run")
    other.make()
    pem = authority.certificate(other).strip()
    client.do(Up(name="main", mirrors="none"))
    main = Guest(client, "main")
    before = main.text(HELD)
    for _ in range(2):
        handed = replace(found(), certificates=(pem,))
        assert client.do(Mirrors("main", "host", handed)) == HandedMirrors("main", handed_in=True)
        assert AT in main.text(f"{HELD}; cat /etc/pip.conf /etc/npmrc")
        assert main.text("ls /usr/local/share/ca-certificates") == "vertui-host-0.crt"
    assert client.do(Mirrors("main", "none")) == HandedMirrors("main", handed_in=False)
    assert main.text(HELD) == before


def test_what_works_here_works_in_a_branch(client: Client) -> None:
    client.up(None, "main")
    main = Guest(client, "main")
    assert "pass" not in main.text("env; cat /etc/environment /etc/pip.conf /etc/npmrc /root/.npmrc")

    def newest() -> tuple[str, int, str]:
        refused = next(one for one in client.tree().branches if one.name == "main").refused
        return (refused.host, refused.port, refused.process.partition("[")[0]) if refused else ("", 0, "")

    def tells_the_port() -> bool:
        """As it is configured. A guest on a busy host may say it too late; it is news again after a change of rule."""
        client.do(Egress("main", "off"))
        assert main.run("timeout 20 getent hosts mirror.here").code != 0
        return newest() == ("mirror.here", MIRROR_PORT, "getent")

    assert eventually(tells_the_port), newest()
    told = client.do(Egress("main", "allow", ("@apt", "@pip", "@npm")))
    assert {(to.host, to.port) for to in told.egress.to} == {("mirror.here", MIRROR_PORT)}
    main.text("apt-get -qq update && apt-get -qq install hello-here")
    assert main.text("hello-here") == "hello from here"
    ports = iter(range(5000, 6000))

    def tells_who() -> bool:
        """A guest on a busy host may say it too late; who tries another port is asked anew."""
        assert main.run(CONNECT.format(OTHER, next(ports))).code != 0
        return any(one.process.startswith("python3[") for one in client.do(Egress("main", "show")).refused)

    assert eventually(tells_who)
    assert main.run(CONNECT.format(OTHER, 443)).code != 0
    assert eventually(lambda: newest()[:2] == (OTHER, 443))
    client.do(Egress("main", "add"))
    main.text(CONNECT.format(OTHER, 443))
    if full():
        main.text(FETCH.format("pip.zip"))
        main.text("timeout 600 python3 /root/pip.zip/pip install --break-system-packages hello-there")
        assert main.text("python3 -c 'import hello_there; print(hello_there.TEXT)'") == "hello from there"
    if full() and NPM.exists():
        main.text(FETCH.format("npm.tar") + " && tar -xPf /root/npm.tar")
        options = "--no-audit --no-fund --no-update-notifier"
        main.text(f"cd /srv && timeout 600 node {NPM} install {options} hello-npm")
        assert main.text("cd /srv && node -e 'require(\"hello-npm\")'") == "hello from npm"


def test_a_rule_that_changes_resets_what_it_refuses_and_keeps_the_rest(client: Client) -> None:
    client.up(None, "main")
    main = Guest(client, "main")
    client.do(Egress("main", "allow", (f"{SERVER}:80", f"{SERVER}:443")))
    main.text(f"cat > /root/hold.py <<'END'\n{HOLD}END")
    command = main.start(f"ulimit -n 4096; exec python3 /root/hold.py {MANY} {SERVER} > /root/held")
    assert eventually(lambda: main.run("grep -q open /root/held").code == 0)
    client.do(Egress("main", "allow", (f"{SERVER}:80",)))
    assert main.attach(command).code == 0
    reset, whole, spread = main.text("tail -1 /root/held").split()
    print(f"{reset} of {MANY} reset within {spread} s, {whole} went on")
    assert (int(reset), int(whole)) == (MANY // 2, MANY - MANY // 2)
