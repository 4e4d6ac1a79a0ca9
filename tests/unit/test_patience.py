"""VERTUI_SLOW stretches deadlines, and nonsense in it is one line."""

import os
import subprocess
import sys

import pytest

ASK = "from core.patience import patient; print(patient(2.0))"


def run(*argv: str, slow: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "VERTUI_SLOW"}
    told = {} if slow is None else {"VERTUI_SLOW": slow}
    return subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, check=False, env=environment | told
    )


@pytest.mark.parametrize(
    ("slow", "deadline_s"), [(None, 2.0), ("", 2.0), ("1", 2.0), ("20", 40.0), ("2.5", 5.0), ("much", 2.0)]
)
def test_deadlines_are_stretched(slow: str | None, deadline_s: float) -> None:
    assert float(run("-c", ASK, slow=slow).stdout) == deadline_s


@pytest.mark.parametrize("slow", ["much", "0", "-1", "nan", "inf", "1e9"])
def test_no_factor_is_refused_in_one_line(slow: str) -> None:
    ran = run("-m", "vertui", "image", "--help", slow=slow)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1 and "VERTUI_SLOW" in ran.stderr
