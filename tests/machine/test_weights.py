"""Weights on the real cgroup v2 of a kernel: a guest's, for this host may have none."""

from pathlib import Path

from core import cgroups
from tests.guests import Guest

WEIGHED = """
import os, subprocess, sys, time
from pathlib import Path
from cgroups import Cgroups

os.sched_setaffinity(0, {0})
groups = Cgroups("vertui-1")
if lacks := groups.lacks():
    sys.exit(lacks)
busy = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(2)]
for one, weight in zip(busy, (100, 300)):
    groups.weigh(f"m{one.pid}", one.pid, weight)

def ticks(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])

before = [ticks(one.pid) for one in busy]
time.sleep(2)
used = [ticks(one.pid) - had for one, had in zip(busy, before)]
[home] = Path("/sys/fs/cgroup").rglob("vertui-1")
groups.tidy()
kept = sum(path.is_dir() for path in home.iterdir())
for one in busy:
    one.kill()
    one.wait()
groups.tidy()
print(*used, home, kept, home.exists())
"""
DELEGATED = """
cd /sys/fs/cgroup && mkdir -p user/own && echo +cpu > cgroup.subtree_control
chown nobody user user/own user/cgroup.procs user/own/cgroup.procs user/cgroup.subtree_control
echo $$ > user/own/cgroup.procs
exec setpriv --reuid nobody --clear-groups python3 /srv/weighed.py
"""
"""As systemd leaves it to an ordinary user."""


def test_who_weighs_three_times_as_much_has_three_times_as_much(main: Guest) -> None:
    """For root, and a user to whom a group was left; ours, in which we are, is not to be divided. Nothing is left."""
    for name, text in {"cgroups": Path(cgroups.__file__).read_text(), "weighed": WEIGHED}.items():
        main.text(f"cat > /srv/{name}.py <<'END'\n{text}\nEND")
    for line, place in {"python3 /srv/weighed.py": "", DELEGATED: "/user"}.items():
        light, heavy, *rest = main.text(line).split()
        assert 2 < int(heavy) / int(light) < 4.5, (light, heavy)
        assert rest == [f"/sys/fs/cgroup{place}/vertui-1", "2", "False"]
