"""Rules of the house that a machine can check."""

import ast
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import core

ROOT = Path(__file__).parents[2]


def modules() -> list[str]:
    """Every module of core, but the agent's, which run in the guest, and programs, which run when imported."""
    names = [module.name for module in pkgutil.walk_packages(core.__path__, "core.")]
    return [name for name in names if not name.startswith("core.guest.agent")]


def test_core_imports_no_terminal_library() -> None:
    names = modules()
    assert len(names) > 50
    program = "import importlib, sys\n" + "\n".join(f"importlib.import_module({name!r})" for name in names)
    check = "\nprint([name for name in ('textual', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program + check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_verbs_import_nothing_heavy() -> None:
    program = "import sys, core.daemon.client, core.daemon.start\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {
        "pydantic",
        "numpy",
        "networkx",
        "fastapi",
        "textual",
        "rich",
        "websockets",
        "typer",
        "pyroute2",
        "psutil",
        "cachetools",
        "pyseccomp",
        "logging",
    }


def test_only_the_daemon_pays_for_pyroute2() -> None:
    """Its import takes 0.2 s and 11 MiB: no command, no screen and none of the small processes waits for it."""
    others = (
        "vertui.ui, core.holder.server, core.holder.porter, core.store.views.server, core.machine.monitor"
    )
    program = f"import sys, {others}\nprint('pyroute2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


NETLINK = {
    f"core/network/{name}.py" for name in ("conntrack", "diag", "forms", "messages", "netlink", "refusal_log")
}
AGENT = (
    "core/guest/agent/sockets.py"  # in the guest, where Python's own library is all there is; no rtnetlink
)


def names_in(path: Path) -> set[str]:
    """Every name that a module uses, defines or imports, and the modules it imports from; not what it writes."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names |= {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
        elif isinstance(node, ast.Attribute | ast.Name):
            names.add(node.attr if isinstance(node, ast.Attribute) else node.id)
    return names


def called_in(path: Path) -> set[str]:
    """The names of all that a module calls."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}


def test_netlink_is_spoken_in_one_place_and_by_pyroute2() -> None:
    """Nobody else opens such a socket or knows its messages, and there nobody packs one by hand."""
    for path in (ROOT / "core").rglob("*.py"):
        where, names = str(path.relative_to(ROOT)), names_in(path)
        if where in NETLINK:
            assert not names & {"pack", "pack_into", "unpack", "unpack_from", "Struct", "ctypes"}, where
        elif where != AGENT:
            speaks = re.compile(r"AF_NETLINK|NETLINK_ROUTE|_?(NLM_F|NLMSG|RTM|IFLA)_.*|pyroute2(\..*)?")
            assert not [name for name in names if speaks.fullmatch(name)], where
    assert "NETLINK_ROUTE" not in names_in(ROOT / AGENT)


def test_one_class_has_one_name() -> None:
    """Left out are verbs, called what people type, and the agent: in the guest stands the other end of what is here."""
    where: dict[str, list[str]] = {}
    for path in (path for top in ("core", "vertui") for path in (ROOT / top).rglob("*.py")):
        if "agent" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not ("verbs" in path.parts and is_verb(node)):
                    where.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert len(where) > 300
    assert {name: places for name, places in where.items() if len(places) > 1} == {}


def is_verb(node: ast.ClassDef) -> bool:
    """Derived with the type of its answer: `Verb[Branch]`."""
    return any(isinstance(base, ast.Subscript) for base in node.bases)


def test_state_is_written_by_the_one_helper() -> None:
    for path in (ROOT / "core").rglob("*.py"):
        if "agent" not in path.parts:
            assert not re.search(r"open\([^)]*[\"']wb?[\"']", path.read_text()), (
                f"{path} opens a file for writing"
            )


def test_no_module_is_too_long() -> None:
    for top in ("core", "vertui", "tests"):
        for path in (ROOT / top).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 500, f"{path} has more than 500 lines"


def test_no_merge_is_left_half_done() -> None:
    tops = [
        ROOT / "README.md",
        *(path for top in ("core", "vertui", "tests", "scripts") for path in (ROOT / top).rglob("*")),
    ]
    for path in tops:
        if path.suffix in (".py", ".sh", ".md", ".tcss", ".txt", ""):
            assert not path.is_file() or not re.search(rb"^(<{7}|>{7}) ", path.read_bytes(), re.MULTILINE), (
                path
            )


STARTS = {
    "core/python.py",
    "core/image/job.py",  # a change of it is another image; the holder's environment keeps it safe as well
}


def test_our_own_programs_are_started_in_one_place() -> None:
    """With -P, so that no folder a user stands in is imported."""
    for top in ("core", "vertui"):
        for path in (ROOT / top).rglob("*.py"):
            named = "sys.executable" in path.read_text()
            assert named == (str(path.relative_to(ROOT)) in STARTS), f"{path}: use core.python.program"


def test_only_the_log_speaks_for_a_process() -> None:
    """What is printed in a daemon has no time, no level and no request, and fails when the disk is full."""
    programs = {
        "core/image/job.py",
        "core/network/here.py",
        "core/network/probe.py",
    }  # whoever starts these reads what they print
    for path in (ROOT / "core").rglob("*.py"):
        where = str(path.relative_to(ROOT))
        if where not in programs and not where.startswith("core/guest/"):
            assert not {"print", "print_exc"} & called_in(path), f"{where}: use logging"


def test_sqlite_never_calls_python() -> None:
    """In SQLite's lock a thread would wait for the interpreter's, which one that waits for SQLite's may hold."""
    for path in (ROOT / "core").rglob("*.py"):
        assert not re.search(
            r"create_(function|aggregate|collation|window_function)|check_same_thread", path.read_text()
        )


PLAIN = "vertui/plain.py"
WIDGETS = {"Input", "Content", "Markup"}  # beside all of textual.widgets: what reads markup, or shows it
SETTERS = {  # attributes, methods and arguments that Textual reads markup in
    "notify", "border_title", "border_subtitle", "tooltip", "placeholder", "sub_title", "markup", "from_markup",
    "render_str", "help_text",
}  # fmt: skip


def test_text_becomes_a_title_or_label_in_one_place() -> None:
    """What Textual would read markup in is made by vertui.plain alone: a guest's text can plant nothing."""
    for path in (ROOT / "vertui").rglob("*.py"):
        if str(path.relative_to(ROOT)) == PLAIN:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("textual", "rich")):
                names = {alias.name for alias in node.names}
                assert node.module != "textual.widgets" and not names & WIDGETS, f"{path}: use vertui.plain"
            name = (
                node.attr
                if isinstance(node, ast.Attribute)
                else node.arg
                if isinstance(node, ast.keyword)
                else ""
            )
            assert name not in SETTERS, f"{path}:{getattr(node, 'lineno', '?')}: use vertui.plain for {name}"


MOST_LOOSE = 20  # what libraries of others take and give, JSON that is passed on, and the guest's agent


def test_values_have_types() -> None:
    loose = [
        str(path.relative_to(ROOT))
        for top in ("core", "vertui")
        for path in (ROOT / top).rglob("*.py")
        for line in path.read_text().split("\n")
        if "dict[str, Any]" in line
    ]
    assert len(loose) <= MOST_LOOSE, loose


def test_only_a_newline_ends_a_line() -> None:
    """str.splitlines also breaks at form feeds, NEL and U+2028, and bytes.splitlines at a carriage return."""
    for top in ("core", "vertui"):
        for path in (ROOT / top).rglob("*.py"):
            assert ".splitlines(" not in path.read_text(), f"{path}: split at \\n"


OF_A_KEY = re.compile(
    r"\b[Pp]ress\b|(?:[:;,] |\b(?:by|key|or|with) )['\"]?[A-Zb-z](?: [a-z]{2,}|['\",)]|\.?$)"
)
"""A key of the UI in a text: somebody presses it, or a single letter stands where something would do it."""


def texts_in(path: Path) -> Iterator[str]:
    """What a module says, each value in it as a dash; what it says of itself is left out."""
    tree = ast.parse(path.read_text())
    own = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    whole = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    own |= {part for one in whole for part in one.values}
    for one in whole:
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "–" for part in one.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in own:
            yield node.value


def test_the_engine_names_no_key_of_a_screen() -> None:
    """A user moves them; whoever shows a text adds the key that is in force."""
    assert OF_A_KEY.search("main may not reach a.org: A lets it") and OF_A_KEY.search("lost: press enter")
    told = {(path.name, text) for path in (ROOT / "core").rglob("*.py") for text in texts_in(path)}
    assert not [one for one in told if OF_A_KEY.search(one[1])]
