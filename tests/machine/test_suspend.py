"""A suspended branch takes nothing of the host, and a real guest serves whoever wakes it where it stood."""

from collections.abc import Callable

from core.daemon.client import Client
from core.model import BranchState
from tests.guests import Guest, eventually
from tests.leaks import host_traces
from tests.machine.test_ports import NAMED, asked


def test_it_has_no_process_and_no_memory_until_a_command_or_a_connection_wakes_it(
    client: Client, nothing_waits: None
) -> None:
    root, main = client.home.root, Guest(client, "main")
    before = host_traces(root)
    client.up(None, "main")
    main.text(f"cat > /root/named.py <<'END'\n{NAMED.read_text()}\nEND")
    main.start("python3 /root/named.py")
    main.count()
    main.text("until ss -ltn | grep -q :8000; do sleep 0.1; done")
    [port] = client.publish("main", ("8000",)).ports
    needs: tuple[Callable[[], str], ...] = (lambda: asked(port.host_port), lambda: main.text("hostname"))
    for need in needs:
        counted = main.counted()
        assert client.suspend("main").state is BranchState.SUSPENDED

        def left() -> bool:
            now = host_traces(root)
            return any("qemu" in process for process in now.processes) or bool(now.memfds - before.memfds)

        assert eventually(lambda: not left())
        assert need() == "main"
        assert main.counted() >= counted
    assert [one.summary for one in client.log() if one.verb == "wake"] == [
        "wake main: exec",
        "wake main: a connection to port 8000",
    ]
