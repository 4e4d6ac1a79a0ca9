"""What is run in a branch for who asks for a shell."""

from core.model import ExecRequest

SHELL = "command -v bash >/dev/null && exec bash -l; exec sh -l"


def shell_request(
    branch: str, env: dict[str, str], rows: int, columns: int, *, lossless: bool = False
) -> ExecRequest:
    """A shell in a terminal of this size."""
    return ExecRequest(
        branch, ("sh", "-c", SHELL), env,
        tty=True, stdin=True, rows=rows, columns=columns, lossless=lossless,
    )  # fmt: skip
