"""A recipe refuses what cannot be built, and its digest changes exactly with its inputs."""

import pytest

from core.errors import UsageError
from core.image.recipe import GIB, MIB, Recipe


@pytest.mark.parametrize(
    "recipe",
    [
        {"memory_bytes": 126 * MIB},
        {"memory_bytes": 129 * MIB},
        {"memory_bytes": 66 * GIB},
        {"vcpus": 0},
        {"vcpus": 17},
        {"disk_bytes": GIB - MIB},
        {"disk_bytes": GIB + 1},
        {"packages": ("--yes",)},
        {"packages": ("vim; reboot",)},
        {"packages": ("Vim",)},
        {"packages": ("",)},
        {"suite": "../etc"},
    ],
)
def test_bad_input_is_one_line(recipe: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe(**recipe)  # type: ignore[arg-type]
    assert str(caught.value).count("\n") == 0


def test_the_limits_themselves_are_allowed() -> None:
    Recipe(memory_bytes=128 * MIB, vcpus=16, disk_bytes=GIB, packages=("g++", "libc6", "python3.11-venv"))
    Recipe(memory_bytes=64 * GIB)


def test_every_input_changes_the_digest() -> None:
    digests = [
        Recipe().digest("1"),
        Recipe().digest("2"),
        Recipe(memory_bytes=GIB).digest("1"),
        Recipe(vcpus=2).digest("1"),
        Recipe(disk_bytes=2 * GIB).digest("1"),
        Recipe(packages=("vim",)).digest("1"),
        Recipe(suite="trixie").digest("1"),
    ]
    assert len(set(digests)) == len(digests)


def test_the_order_of_packages_does_not_matter() -> None:
    one, other = Recipe(packages=("vim", "gcc", "git")), Recipe(packages=("gcc", "vim", "vim"))
    assert one.digest("1") == other.digest("1")


def test_the_base_is_shared_by_machines_of_any_size() -> None:
    large = Recipe(memory_bytes=2 * GIB, vcpus=4, disk_bytes=8 * GIB)
    assert large.base_digest("1") == Recipe().base_digest("1")
    assert Recipe(packages=("vim",)).base_digest("1") != Recipe().base_digest("1")
