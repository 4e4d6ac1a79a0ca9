"""Programs handed to a guest's python3 as text, when there is more to ask of it than the agent knows.

They use nothing but the standard library, and each stands alone: none imports another.
"""

from pathlib import Path


def cold_init() -> bytes:
    """The /init of a machine that boots from a disk which was left unclean."""
    return (Path(__file__).parent / "cold.sh").read_bytes()


def guest_script(name: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs the program `name` in a guest."""
    return "python3", "-I", "-c", (Path(__file__).parent / f"{name}.py").read_text(), *arguments
