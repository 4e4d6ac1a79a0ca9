"""What of a host's settings a guest is to have: read as apt, pip and npm do, without a password or a host's file."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.engine.groups import USUAL, servers_of
from core.engine.handing import check, wanted
from core.engine.taken_back import MARK, without, without_all
from core.errors import UsageError
from core.host_mirrors import found
from core.host_mirrors.sieve import BUNDLE
from core.mirrors import DebianArchive, Mirrors
from core.verbs.up import Up

SOURCES = """
deb http://mirror.corp/debian bookworm main contrib # ours
# deb http://old.corp/debian bookworm main
deb [signed-by=/usr/share/keyrings/docker.gpg] https://download.docker.com/linux/debian bookworm stable
deb [signed-by=/usr/share/keyrings/other.gpg] https://apt.other.org bookworm main
deb-src http://mirror.corp/debian bookworm main
deb file:/srv/debian bookworm main
deb http://user:word@secret.corp/debian bookworm main
"""
DEB822 = """Types: deb deb-src
URIs: http://mirror.corp/security
Suites: bookworm-security
# a word
Components: main
Signed-By:
 /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: http://off.corp/debian
Suites: bookworm
Components: main
"""
APT_CONF = """
Acquire::http::Proxy "http://proxy.corp:3128/";
Acquire::https::Proxy "http://me:pass@proxy.corp:3128/";
Acquire::http::Proxy::mirror.corp "DIRECT";
Acquire::https::CAInfo "/srv/ca.pem";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
"""
SIGNED = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
MADE_UP = "-----BEGIN CERTIFICATE-----\n{0}\n-----END CERTIFICATE-----"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host of its own, as a directory."""
    files = {
        "etc/apt/sources.list": SOURCES,
        "etc/apt/sources.list.d/debian.sources": DEB822,
        "etc/apt/apt.conf": f'Dir "{tmp_path}";\n{APT_CONF}',
        "etc/pip.conf": "[global]\ntimeout = 20\ncert = /srv/ca.pem\n[list]\nformat = columns\n",
        "home/.config/pip/pip.conf": (
            "[global]\nindex_url = https://pip.corp/simple\nextra-index-url =\n"
            "  https://token@more.corp/simple\n  file:///srv/wheels\n  http://127.0.0.1:3141/root\n"
            f"[install]\ntimeout = 30\ncert = {BUNDLE}\n"
        ),
        "etc/npmrc": f"; all\nregistry=http://old.corp/\ncafile={BUNDLE}\nprefix=/usr/local\n",
        "home/.npmrc": (
            "registry = https://npm.corp/\n@corp:registry=http://localhost:4873/\n"
            "//npm.corp/:_authToken=${TOKEN}\nstrict-ssl=true\nfund=false\n"
        ),
        BUNDLE.lstrip("/"): "\n".join(MADE_UP.format(letter * 64) for letter in "ABC"),
        "usr/share/ca-certificates/mozilla/a.crt": MADE_UP.format("A" * 64),
        "usr/share/ca-certificates/mozilla/b.crt": MADE_UP.format("B" * 64),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def environ(host: Path, **more: str) -> Mapping[str, str]:
    home, apt = str(host / "home"), str(host / "etc/apt/apt.conf")
    return {"PATH": "/usr/bin:/bin", "HOME": home, "APT_CONFIG": apt, "TOKEN": "t0ken", **more}


needs_apt = pytest.mark.skipif(shutil.which("apt-config") is None, reason="a host without apt")


@needs_apt
def test_apt_has_debian_from_where_the_host_has_it(host: Path) -> None:
    told = found(environ=environ(host), root=host)
    assert [(one.suite, one.line) for one in told.archives] == [
        ("bookworm", f"deb [{SIGNED}] http://mirror.corp/debian/ bookworm contrib"),
        ("bookworm", f"deb [{SIGNED}] http://mirror.corp/debian/ bookworm main"),
        ("bookworm-security", f"deb [{SIGNED}] http://mirror.corp/security/ bookworm-security main"),
    ]
    assert set(told.apt) == {
        'Acquire::http::Proxy "http://proxy.corp:3128/";',
        'Acquire::http::Proxy::mirror.corp "DIRECT";',
        'Acquire::Check-Valid-Until "false";',
    }
    assert "secret.corp" not in str(told) and "pass" not in str(told.apt)


@needs_apt
def test_what_holds_a_password_is_handed_in_only_when_asked(host: Path) -> None:
    given = environ(
        host, http_proxy="http://me:pass@proxy.corp:1", https_proxy="http://proxy.corp:1", no_proxy=".corp"
    )
    told = found(environ=given, root=host)
    assert told.variables == {"https_proxy": "http://proxy.corp:1", "no_proxy": ".corp"}
    assert told.npm == {"registry": "https://npm.corp/", "cafile": BUNDLE, "strict-ssl": "true"}
    assert told.pip == {"index-url": "https://pip.corp/simple", "timeout": "30", "cert": BUNDLE}
    passwords, loopback = told.left_out
    for what in (
        "an archive of apt's",
        "apt's proxy",
        "pip's extra-index-url",
        "npm's //npm.corp/:_authToken",
        "http_proxy",
    ):
        assert what in passwords
    assert "`--mirrors with-passwords`" in passwords and "pass@" not in passwords and "t0ken" not in passwords
    assert loopback.endswith("loopback: pip's extra-index-url, npm's @corp:registry")
    whole = found(passwords=True, environ=given, root=host)
    assert whole.npm["//npm.corp/:_authToken"] == "t0ken" and whole.left_out == (loopback,)
    assert whole.pip["extra-index-url"] == "https://token@more.corp/simple"
    assert whole.variables["http_proxy"] == "http://me:pass@proxy.corp:1"
    assert any("secret.corp" in one.line for one in whole.archives)


def test_variables_count_more_than_files(host: Path) -> None:
    given = environ(
        host, PIP_INDEX_URL="http://other.corp/simple", PIP_CONFIG_FILE="/dev/null",
        NPM_CONFIG_REGISTRY="http://other.corp/npm", NPM_CONFIG_USERCONFIG="/dev/null",
        SSL_CERT_FILE=BUNDLE, CURL_CA_BUNDLE="/srv/ca.pem", HTTPS_PROXY="proxy.corp:3128", ALL_PROXY="socks5://localhost:1",
    )  # fmt: skip
    told = found(environ=given, root=host)
    assert told.pip == {"index-url": "http://other.corp/simple"}
    assert told.npm == {"registry": "http://other.corp/npm", "cafile": BUNDLE}
    assert told.variables == {"SSL_CERT_FILE": BUNDLE, "HTTPS_PROXY": "proxy.corp:3128"}


def test_certificates_are_those_that_debian_does_not_bring(host: Path) -> None:
    assert found(environ=environ(host), root=host).certificates == (MADE_UP.format("C" * 64),)


def test_a_host_with_nothing_hands_in_nothing(tmp_path: Path) -> None:
    assert found(environ={"PATH": "/nowhere", "HOME": str(tmp_path)}, root=tmp_path).is_empty
    told = found(
        environ={"PATH": "/nowhere", "http_proxy": "http://a\nb", "PIP_TIMEOUT": "1\n[global]"}, root=tmp_path
    )
    assert told.is_empty or told.pip == {"timeout": "1 [global]"}


RELEASE = {"/etc/os-release": b'NAME="Debian"\nVERSION_CODENAME=bookworm\n'}
LINE = "deb http://m/ bookworm main"
ALL = Mirrors(
    (
        DebianArchive("bookworm", LINE), DebianArchive("noble", "deb http://u/ noble main"),
        DebianArchive("bookworm-updates", "deb u"),
    ),
    ("A::b \"c\";",), {"index-url": "http://p/"}, {"registry": "http://n/"}, {"http_proxy": "http://x/"}, ("CERT",),
)  # fmt: skip


def test_a_guest_gets_the_archives_of_its_own_suite_and_keeps_its_own_files() -> None:
    files = wanted(ALL, RELEASE | {"/etc/environment": b"A=1\n"})
    assert files["/etc/apt/sources.list"].split("\n")[1:] == [LINE, "deb u", ""]
    assert files["/etc/apt/apt.conf.d/90vertui-host"].endswith('A::b "c";\n')
    assert files["/etc/pip.conf"].endswith("[global]\nindex-url = http://p/\n")
    assert files["/etc/npmrc"] == files["/root/.npmrc"] and files["/etc/npmrc"].endswith(
        "registry=http://n/\n"
    )
    assert files["/etc/environment"].startswith("A=1\n#") and files["/etc/environment"].endswith(
        "http_proxy=http://x/\n"
    )
    assert files["/usr/local/share/ca-certificates/vertui-host-0.crt"] == "CERT\n"
    own = {"/etc/pip.conf": b"[global]\n", "/etc/npmrc": b"x=y\n", "/root/.npmrc": b"x=y\n"}
    same = f"# of the image\n{LINE}\ndeb u\n".encode()
    kept = wanted(ALL, RELEASE | own | {"/etc/apt/sources.list": same})
    assert not kept.keys() & {*own, "/etc/apt/sources.list"}
    assert "/etc/apt/sources.list" not in wanted(ALL, {"/etc/os-release": b"VERSION_CODENAME=sid\n"})
    made = "/etc/apt/sources.list.d/0000sources.list"
    assert made in wanted(ALL, RELEASE | {made: b"deb http://other/ bookworm main\n"})
    assert not wanted(Mirrors(ALL.archives), RELEASE | {made: same})


def handed_in(present: Mapping[str, bytes]) -> dict[str, bytes]:
    """A guest's files afterwards."""
    return {**present, **{path: text.encode() for path, text in wanted(ALL, present).items()}}


def test_what_was_handed_in_is_taken_back_and_what_was_changed_since_stays() -> None:
    sources = b"deb http://other/ bookworm main\n\n# a word\n"
    before = RELEASE | {
        "/etc/apt/sources.list": sources,
        "/etc/environment": b"A=1\n",
        "/root/.npmrc": b"x=y\n",
    }
    after = handed_in(before)
    certificate = (
        "/usr/local/share/ca-certificates/vertui-host-0.crt"  # which a program in the guest takes back
    )
    written, removed, stay = without_all(after, 1 << 16)
    assert {path: text.encode() for path, text in written.items()} == {
        path: before[path] for path in ("/etc/apt/sources.list", "/etc/environment")
    }
    assert {*removed, certificate} == after.keys() - before.keys() and stay == []
    assert without_all(before, 1 << 16) == ({}, [], [])
    after["/etc/pip.conf"] = after["/etc/pip.conf"].replace(b"http://p/", b"http://q/")
    after["/etc/npmrc"] += b"fund=false\n"
    written, removed, stay = without_all(after, 1 << 16)
    assert stay == ["/etc/pip.conf"] and written["/etc/npmrc"] == "fund=false\n"
    too_long = {"/etc/apt/sources.list", "/etc/environment", "/etc/npmrc"}
    assert {*without_all(after, 100)[2]} == {"/etc/pip.conf", *too_long}


def test_of_an_earlier_vertui_what_replaced_nothing_is_taken_back() -> None:
    mark = f"# {MARK}\n".encode()
    assert without(b"A=1\n" + mark + b"http_proxy=x\n") == b"A=1\n"
    assert without(mark + b"deb http://m/ bookworm main\n") is None


def test_what_no_file_can_hold_is_refused() -> None:
    check(ALL)
    for odd in (Mirrors(pip={"timeout": "1\n[x]"}), Mirrors(certificates=("a\x1b",)), Mirrors(apt=("a\0",))):
        with pytest.raises(UsageError, match="no line of a configuration file"):
            check(odd)
    with pytest.raises(UsageError, match="may take"):
        check(Mirrors(apt=("a" * 300_000,)))


def test_groups_are_the_servers_that_a_guest_is_configured_for() -> None:
    handed = "".join(wanted(ALL, RELEASE).values())
    assert servers_of("@pip", "[global]\nindex-url = http://p:81/s\n") == ("p:81",)
    assert servers_of("@pip", "[global]\nextra-index-url = http://p/s\n") == ("p:80", *USUAL["@pip"])
    assert servers_of("@npm", "@corp:registry=https://n/\n") == ("n:443", *USUAL["@npm"])
    assert servers_of("@git", "[http]\n proxy = http://x:3128\n") == ("x:3128", *USUAL["@git"])
    assert servers_of("@apt", 'Acquire::http::Proxy "http://x:1/";\ndeb http://d/ b main\n') == (
        "x:1",
        "d:80",
    )
    assert set(servers_of("@apt", handed)) >= {"m:80", "x:80"}


def test_a_user_says_whether_they_are_handed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Up(mirrors="none").brought() == {} and Up(handed=ALL).brought() == {}
    assert Up().brought() == {}  # as conftest says
    monkeypatch.setenv("VERTUI_MIRRORS", "host")
    monkeypatch.setenv("http_proxy", "http://me:pass@proxy.corp:1")
    [told] = Up().brought().values()
    assert "http_proxy" not in told.variables and "http_proxy" in told.left_out[0]
    assert "http_proxy" in Up(mirrors="with-passwords").brought()["handed"].variables
    monkeypatch.setenv("VERTUI_MIRRORS", "some")
    with pytest.raises(UsageError, match="give host, with-passwords or none"):
        Up().brought()
