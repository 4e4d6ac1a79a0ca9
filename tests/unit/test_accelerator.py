"""What is said of KVM: why it cannot be used, and that images made on it then do not start."""

from pathlib import Path

import pytest

from core.engine.doctor import kvm_finding
from core.machine.accelerator import KVM, TCG, kvm_trouble


def test_a_device_that_opens_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "kvm").touch()
    assert kvm_trouble(str(tmp_path / "kvm")) is None


def test_trouble_has_a_reason_and_a_fix(tmp_path: Path) -> None:
    assert "is not there: modprobe" in (kvm_trouble(str(tmp_path / "kvm")) or "")
    assert "does not open (Is a directory)" in (kvm_trouble(str(tmp_path)) or "")


@pytest.mark.parametrize(
    ("used", "trouble", "good"),
    [
        (set(), None, True),
        (set(), "gone", True),
        ({TCG}, "gone", True),
        ({KVM}, None, True),
        ({KVM}, "gone", False),
        ({KVM, TCG}, "gone", False),
    ],
)
def test_doctor_is_red_when_an_image_needs_what_is_gone(
    used: set[str], trouble: str | None, good: bool
) -> None:
    found = kvm_finding(used, trouble, "")
    assert found.ok is good
    assert (found.fix == (trouble or "")) and (trouble or "opens") in found.detail


def test_doctor_tells_of_images_that_could_be_faster() -> None:
    assert "build it again" in kvm_finding({TCG}, None, "build it again").detail
