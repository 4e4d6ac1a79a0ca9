"""The agent: the one process of ours inside the guest. Python 3.11 standard library only.

The image holds this directory as a package of its own (`/usr/lib/vertui/agent`, started by its `__main__`);
on the host only `wire` is imported. Modules therefore import each other relatively.

    wire        frames: what both ends of the port speak
    port        the virtio-serial port: connected or not, never spinning, never blocking
    loop        descriptors and timers
    server      requests in, answers and output out
    command     a started command and its end; `streams` are its outputs and input, `ring` keeps its last output
    attachment  a client following a command, from offsets of its own
    spawn       from a request to a running process; `kernel` has what Python lacks
    cgroup      the work group: everything but agent and init; freeze, thaw, kill
    identity    what makes a forked machine distinct; `sockets` closes its outside connections
    processes   what runs and how the machine fares, for the UI
    ssh         sshd, started per connection

The agent is single-threaded, sleeps in one epoll call and holds no timer while nothing runs.
"""
