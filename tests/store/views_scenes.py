"""What happens inside a holder's namespaces: each scene is a process the holder spawned, where the daemon would be.

python -m tests.store.views_scenes SCENE HOME: exit status 0, or a traceback in the log.
"""

import asyncio
import errno
import hashlib
import mmap
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from core.holder.held import HolderLine
from core.home import Home, find_home
from core.log_files import HEAD
from core.machine.memory import changed_pages, find_memory, resident_pages
from core.model import PAGE_BYTES
from core.store.views.keeper import KEY, NURSERY_KEY, FuseViews

SIZE = 16 << 20
KILLS = 20 if os.environ.get("VERTUI_TEST_ALL") == "1" else 4
SEED = int.from_bytes(os.urandom(4), "little")


class Scene:
    """Views over a directory of commits that are all the same random file, under names of this scene's own.

    The first scene in a holder starts the server, the others adopt it.
    """

    def __init__(self, home: Home, name: str) -> None:
        self.home = home
        self.originals = home.root / "originals"
        self.originals.mkdir(exist_ok=True)
        self.content = np.random.default_rng(1).integers(0, 255, SIZE + 1000, np.uint8).tobytes()
        self.commits = [hashlib.sha1(f"{name} {number}".encode()).hexdigest() for number in range(9)]
        memory = self.originals / f"{name}.content"
        memory.write_bytes(self.content[:SIZE])
        for commit in self.commits:
            (self.originals / commit).mkdir()
            os.link(memory, self.originals / commit / "memory")
        (self.originals / self.commits[0] / "disk").write_bytes(self.content)
        self.held = HolderLine(home)
        self.views = self.make()
        self.views.start(self.held.holdings())

    def make(self) -> FuseViews:
        return FuseViews(self.home, self.held, "tests.store.views_source:Watched", self.originals)

    @property
    def pid(self) -> int:
        return self.held.holdings().children[KEY]

    async def kill_server(self) -> None:
        """Kill the server and wait for its successor: until it is dead it may still answer."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        while self.held.holdings().children.get(KEY, pid) == pid:
            await asyncio.sleep(0.005)

    def reads(self) -> list[tuple[str, int, int]]:
        """(commit, first page, count) of all that was read of this scene's memory."""
        lines = [line.split() for line in (self.originals / "reads").read_text().splitlines()]
        found = [(line[0], int(line[2]), int(line[3])) for line in lines if line[1] == "memory"]
        return [read for read in found if read[0] in self.commits]

    def reader(self, commit: str, wanted: str, *pages: int) -> subprocess.Popen[str]:
        view, original = self.views.path(commit, "memory"), self.originals / commit / "memory"
        seed = random.randrange(1 << 30)
        argv = [sys.executable, "-S", "-m", "tests.store.views_reader", view, original, seed, wanted, *pages]
        pipe = subprocess.PIPE
        return subprocess.Popen([str(word) for word in argv], stdin=pipe, stdout=pipe, text=True)

    def watch(self) -> None:
        """Do what the daemon does when the nursery ends."""
        tasks = set()

        def on_exit(key: str, status: int) -> None:
            if key == NURSERY_KEY:
                tasks.add(asyncio.create_task(self.views.nursery_ended()))

        self.held.watch(on_exit)


async def content(scene: Scene) -> None:
    """Any range reads as it was written, also the end of a file that is not whole pages long."""
    disk = os.open(scene.views.path(scene.commits[0], "disk"), os.O_RDONLY)
    assert os.fstat(disk).st_size == len(scene.content)
    for _ in range(300):
        offset, length = random.randrange(len(scene.content)), random.choice((1, 100, 4096, 70_000, 3 << 20))
        assert os.pread(disk, length, offset) == scene.content[offset : offset + length]
    assert os.pread(disk, 5000, SIZE) == scene.content[SIZE:]
    assert os.pread(disk, 10, len(scene.content)) == b""
    directory = scene.home.views
    assert names(directory / scene.commits[0]) == ["disk", "memory"]
    assert names(directory / scene.commits[1]) == ["memory"]
    assert set(names(directory)) >= set(scene.commits[:2])
    for absent in (
        "ffffffffffff",
        "memory",
        "..foo",
        "x" * 200,
        f"{scene.commits[0]}/pages",
        f"{scene.commits[1]}/disk",
    ):
        assert not (directory / absent).exists()


async def refused(scene: Scene) -> None:
    """Memory may be opened for writing, which changes nothing; a disk may not; nothing can be made or removed."""
    memory = scene.views.path(scene.commits[0], "memory")
    descriptor = os.open(memory, os.O_RDWR)
    room = mmap.mmap(descriptor, SIZE, mmap.MAP_PRIVATE, mmap.PROT_READ)
    assert await asyncio.to_thread(lambda: room[:PAGE_BYTES]) == scene.content[:PAGE_BYTES]
    for refuse in (
        lambda: os.pwrite(descriptor, b"x" * PAGE_BYTES, 0),
        lambda: os.ftruncate(descriptor, 0),
        lambda: os.open(memory, os.O_RDWR | os.O_TRUNC),
        lambda: os.open(scene.views.path(scene.commits[0], "disk"), os.O_RDWR),
        lambda: (memory.parent / "new").write_bytes(b""),
        lambda: (scene.home.views / "aaaaaaaa").mkdir(),
        memory.unlink,
    ):
        try:
            refuse()
            raise AssertionError("that was allowed")
        except OSError as error:
            assert error.errno in (errno.EROFS, errno.ENOSYS), error
    assert room[:PAGE_BYTES] == scene.content[:PAGE_BYTES]
    assert os.pread(descriptor, SIZE, 0) == scene.content[:SIZE]


async def private(scene: Scene) -> None:
    """What a process changed of a view it maps privately is its anonymous pages, whoever else maps it."""
    memory = scene.views.path(scene.commits[0], "memory")
    descriptor = os.open(memory, os.O_RDWR)
    room = mmap.mmap(descriptor, SIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    read = sum(await asyncio.to_thread(lambda: [room[page * PAGE_BYTES] for page in range(0, 4096, 7)]))
    assert read == sum(scene.content[page * PAGE_BYTES] for page in range(0, 4096, 7))
    found = find_memory(os.getpid(), os.fstat(descriptor).st_ino, SIZE)
    assert not len(changed_pages(found))
    for page in (3, 14, 2000):
        room[page * PAGE_BYTES] ^= 0xFF
    assert changed_pages(found).tolist() == [3, 14, 2000]
    assert os.pread(descriptor, SIZE, 0) == scene.content[:SIZE]


async def qemu(scene: Scene) -> None:
    """QEMU takes a view as a guest's memory, sees its bytes, and ends in peace."""
    memory = scene.views.path(scene.commits[0], "memory")
    backend = f"memory-backend-file,id=ram,size={SIZE},share=off,mem-path={memory}"
    argv = [
        "qemu-system-x86_64",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-S",
        "-monitor",
        "stdio",
    ]
    argv += [
        "-machine",
        "pc-q35-7.2,accel=tcg,memory-backend=ram",
        "-m",
        f"{SIZE >> 20}M",
        "-object",
        backend,
    ]
    done = subprocess.run(argv, input="xp /2xw 0x300010\nquit\n", capture_output=True, text=True, timeout=20)
    words = np.frombuffer(scene.content, "<u4", 2, 0x300010)
    assert f"0x{words[0]:08x} 0x{words[1]:08x}" in done.stdout, (done.stdout, done.stderr)
    assert done.returncode == 0


async def shared(scene: Scene) -> None:
    """Eight processes that map one view have each of its pages read once."""
    readers = [scene.reader(scene.commits[0], "0", *range(0, 4096, 3)) for _ in range(8)]
    assert [await asyncio.to_thread(finish, reader) for reader in readers] == [0] * 8
    pages = [page for _, first, count in scene.reads() for page in range(first, first + count)]
    assert len(pages) == len(set(pages)) >= 4096 // 3


async def damaged(scene: Scene) -> None:
    """Whoever touches a page that cannot be had ends; whoever does not goes on; the log names the page."""
    (scene.originals / scene.commits[0] / "memory.damaged").write_text("40")
    (scene.originals / scene.commits[0] / "memory.short").write_text("90")
    readers = [scene.reader(scene.commits[0], "0", *pages) for pages in ((39, 41, 89, 91), (3, 40), (90,))]
    statuses = [await asyncio.to_thread(finish, reader) for reader in readers]
    assert statuses == [0, -signal.SIGBUS, -signal.SIGBUS]
    lines = [HEAD.sub("", line) for line in scene.views.log.read_text().split("\n") if line]
    assert [line for line in lines if " page 40:" in line] == [
        f"commit {scene.commits[0]} memory page 40: page 40 is not what was written"
    ]
    assert [" page 90:" in line for line in lines].count(True) == 1
    assert scene.views.damage(scene.commits[1]) is None
    found = scene.views.damage(scene.commits[0])
    assert found and found.commit == scene.commits[0] and found.medium == "memory" and found.page in (40, 90)
    assert str(found) in lines
    assert scene.views.path(scene.commits[0], "memory").stat().st_size == SIZE


async def exact(scene: Scene) -> None:
    """Of the exact view only what is touched is read, one page at a time, whatever the kernel would read around it."""
    descriptor = os.open(scene.views.path(scene.commits[5], "exact"), os.O_RDWR)
    room = mmap.mmap(descriptor, SIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    wanted = [3, 4, 900, 2000, 2031, 4095]
    for page in wanted:
        assert (
            await asyncio.to_thread(room.__getitem__, page * PAGE_BYTES) == scene.content[page * PAGE_BYTES]
        )
    reads = [(first, count) for commit, first, count in scene.reads() if commit == scene.commits[5]]
    assert sorted(reads) == [(page, 1) for page in wanted]


async def ahead(scene: Scene) -> None:
    """What is stored ahead is there for every reader, and nothing around it; the server is not asked for it."""
    commit, asked = scene.commits[6], []
    wanted = np.array([*range(100, 140), 7, 2000, 2002, SIZE // PAGE_BYTES - 1])
    content = np.frombuffer(scene.content[:SIZE], np.uint8).reshape(-1, PAGE_BYTES)

    def read(pages: NDArray[np.int64]) -> NDArray[np.uint8]:
        asked.append(pages)
        return content[pages]

    scene.views.store_ahead(commit, wanted, read)
    path = scene.views.path(commit, "memory")
    while resident(path) != sorted(wanted.tolist()):
        await asyncio.sleep(0.01)
    assert np.concatenate(asked).tolist() == wanted.tolist()
    with path.open("rb", buffering=0) as view:
        for page in wanted.tolist():
            data = await asyncio.to_thread(os.pread, view.fileno(), PAGE_BYTES, page * PAGE_BYTES)
            assert data == content[page].tobytes()
    assert not set(pages_of(scene, commit)) & set(wanted.tolist())
    assert path.stat().st_size == SIZE


async def ahead_of_readers(scene: Scene) -> None:
    """What is stored while others wait for the same pages, or have them mapped, changes nothing for them."""
    content = np.frombuffer(scene.content[:SIZE], np.uint8).reshape(-1, PAGE_BYTES)
    for commit in scene.commits[:4]:
        readers = [scene.reader(commit, "0", *range(0, SIZE // PAGE_BYTES, step)) for step in (3, 5)]
        scene.views.store_ahead(commit, np.arange(SIZE // PAGE_BYTES), lambda pages: content[pages])
        assert [await asyncio.to_thread(finish, reader) for reader in readers] == [0, 0]


def resident(path: Path) -> list[int]:
    """The pages of a file that are in the page cache."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        return np.flatnonzero(resident_pages(descriptor)).tolist()
    finally:
        os.close(descriptor)


def pages_of(scene: Scene, commit: str) -> list[int]:
    """Every page of a commit that was read, as often as it was."""
    return [
        page for name, first, count in scene.reads() if name == commit for page in range(first, first + count)
    ]


async def killed(scene: Scene) -> None:
    """Kill the server at random instants under eight processes still faulting: nobody dies, nothing reads wrong.

    Every third time the nursery goes before it, so that its successor has to start from nothing.
    """
    scene.watch()
    print("seed", SEED)
    chance = random.Random(SEED)
    readers = [scene.reader(scene.commits[number % 4], "forever") for number in range(8)]
    for reader in readers:
        assert reader.stdout and reader.stdout.readline() == "ready\n"
    fresh = os.open(scene.views.path(scene.commits[-1], "memory"), os.O_RDONLY)
    await asyncio.sleep(0.2)
    slowest = 0.0
    for kill in range(KILLS):
        await asyncio.sleep(chance.random() * 0.3)
        if kill % 3 == 2:
            while (nursery := scene.held.holdings().children.get(NURSERY_KEY)) is None:
                await asyncio.sleep(0.01)
            os.kill(nursery, signal.SIGKILL)
            await asyncio.sleep(chance.random() * 0.02)
        began = time.monotonic()
        await scene.kill_server()
        offset = kill * (512 << 10)
        data = await asyncio.to_thread(os.pread, fresh, PAGE_BYTES, offset)
        slowest = max(slowest, time.monotonic() - began)
        assert data == scene.content[offset : offset + PAGE_BYTES]
        assert [reader.poll() for reader in readers] == [None] * 8
    print(f"{KILLS} kills, slowest answer after {slowest * 1000:.0f} ms, {len(scene.reads())} reads")
    assert [await asyncio.to_thread(finish, reader) for reader in readers] == [0] * 8


async def adopted(scene: Scene) -> None:
    """A new daemon takes over the server there is, also one that came while there was no daemon; paths stay good."""
    pid = scene.pid
    descriptor = os.open(scene.views.path(scene.commits[7], "memory"), os.O_RDONLY)
    second = scene.make()
    second.start(scene.held.holdings())
    assert scene.pid == pid
    await scene.kill_server()
    successor = scene.pid
    page = await asyncio.to_thread(os.pread, descriptor, 100, 5 << 20)
    assert page == scene.content[5 << 20 : (5 << 20) + 100]
    third = scene.make()
    third.start(scene.held.holdings())
    assert scene.pid == successor != pid
    assert third.path(scene.commits[8], "memory").stat().st_ino != os.fstat(descriptor).st_ino


async def hydrated(scene: Scene) -> None:
    """Hydration fills the page cache, past damage, and stops when it is cancelled."""
    (scene.originals / scene.commits[1] / "memory.damaged").write_text("1000")
    told = list[tuple[int, int]]()
    for commit in scene.commits[:2]:
        await scene.views.hydrate(commit, "memory", lambda *read: told.append(read))
    assert told[0] == (1 << 20, SIZE) and told[-1] == (SIZE, SIZE)
    assert (
        sum(count for commit, _, count in scene.reads() if commit == scene.commits[0]) == SIZE // PAGE_BYTES
    )
    read = {
        page
        for commit, first, count in scene.reads()
        if commit == scene.commits[1]
        for page in range(first, first + count)
    }
    assert read >= set(range(1024, SIZE // PAGE_BYTES))
    task = asyncio.create_task(scene.views.hydrate(scene.commits[2], "memory"))
    await asyncio.sleep(0.002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sum(count for commit, _, count in scene.reads() if commit == scene.commits[2]) < SIZE // PAGE_BYTES


async def idle(scene: Scene) -> None:
    """A server nobody asks costs no processor time."""
    assert scene.views.path(scene.commits[0], "memory").exists()
    before = cpu_s(scene.pid)
    await asyncio.sleep(0.5)
    assert cpu_s(scene.pid) - before < 0.02


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def finish(reader: subprocess.Popen[str]) -> int:
    reader.communicate(timeout=30)
    return reader.returncode


def main() -> None:
    """Play one scene; SIGBUS is what some want, core files are not."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asyncio.run(globals()[sys.argv[1]](Scene(find_home(sys.argv[2]), sys.argv[1])))


if __name__ == "__main__":
    main()
