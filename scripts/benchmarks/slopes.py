"""`scripts/bench slopes`: what the pause costs per MB changed, per GiB touched, and per GiB of guest never touched."""

from lab import MB, Lab, lab, median
from pause import commits
from report import SAMPLES, Report, slope

from core.model import PAGE_BYTES

CHANGED_MB = {
    1: SAMPLES,
    10: SAMPLES,
    50: 10,
    200: 5,
}  # how many commits: those of 200 MB take seconds each to seal
SEALED_MB = 50  # a commit of so much is to be sealed within a second
TOUCHED_MB = (0, 256, 1024)
SIZES = {"small": 0.25, "base": 0.5, "large": 2.0}  # images, by GiB of guest
FEW_PAGES = 250
BETWEEN_S = 0.3
GIB_MB = 1 << 10
SETTLED_COMMITS = 3  # after which the engine may have put a better base under a machine that changed much


def measure(quick: bool) -> Report:
    """The three slopes, each of a line through pauses."""
    report = Report("slopes of the pause")
    few = 5 if quick else SAMPLES
    with lab("slopes", "base", "small", "large") as found:
        _add_changed(report, found, {1: 5, 10: 5, 50: 3} if quick else CHANGED_MB)
        _add_touched(report, found, TOUCHED_MB[:2] if quick else TOUCHED_MB, few)
        _add_untouched(report, found, few)
    return report


def _up(found: Lab, image: str) -> str:
    found.client.up(image, image)
    return image


def _end(found: Lab, branch: str) -> None:
    found.client.execute(found.client.plan_prune([branch], True))


def _add_changed(report: Report, found: Lab, counts: dict[int, int]) -> None:
    """Between two commits the program changes everything, however long that takes."""
    points = []
    for size, count in counts.items():
        name = _up(found, "base")
        pages = int(size * MB / PAGE_BYTES)
        found.write_pages(name, pages, pages / BETWEEN_S)
        rate = found.rate(name)
        made = commits(found, name, count, max(BETWEEN_S, 1.2 * pages / rate))
        pauses = [one.commit.pause_ms for one in made]
        changed = found.changed_between(made[-2].commit.id, made[-1].commit.id) * PAGE_BYTES / MB
        points.append((changed, median(pauses)))
        report.add_samples(f"pause, {changed:.0f} MB changed", pauses, timed="`stop` sent to `cont` returned")
        report.add_samples(
            f"commit sealed, {changed:.0f} MB changed", [one.to_sealed_ms for one in made if one.to_sealed_ms],
            must=1000 if size <= SEALED_MB else None, aim=300, promise=2, timed="request received to durable",
        )  # fmt: skip
        _end(found, name)
    report.add(
        "pause per MB changed", slope(points), "ms", must=0.35, promise=9, timed="least squares through these"
    )


def _add_touched(report: Report, found: Lab, sizes: tuple[int, ...], count: int) -> None:
    """Memory written once and committed, then never again."""
    points = []
    for size in sizes:
        name = _up(found, "large")
        if size:
            found.fill(name, size << 20)
        found.write_pages(name, FEW_PAGES, FEW_PAGES / BETWEEN_S)
        commits(found, name, SETTLED_COMMITS)
        found.await_spares()
        pauses = [one.commit.pause_ms for one in commits(found, name, count)]
        points.append((size / GIB_MB, median(pauses)))
        report.add_samples(
            f"pause, {size} MiB touched before",
            pauses,
            timed=f"the same, {FEW_PAGES} pages changed since the last commit",
        )
        _end(found, name)
    report.add(
        "pause per GiB touched",
        slope(points),
        "ms",
        must=10.0,
        promise=9,
        timed="least squares through these",
    )


def _add_untouched(report: Report, found: Lab, count: int) -> None:
    points = []
    for image, size in SIZES.items():
        name = _up(found, image)
        found.write_pages(name, FEW_PAGES, FEW_PAGES / BETWEEN_S)
        pauses = [one.commit.pause_ms for one in commits(found, name, count)]
        points.append((size, median(pauses)))
        report.add_samples(
            f"pause, guest of {size * GIB_MB:.0f} MiB", pauses, timed=f"the same, {FEW_PAGES} pages changed"
        )
        _end(found, name)
    report.add(
        "pause per GiB untouched",
        slope(points),
        "ms",
        must=1.0,
        aim=0.0,
        promise=9,
        timed="least squares through these",
    )
