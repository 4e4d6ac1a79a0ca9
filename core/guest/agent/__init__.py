"""The agent: the one process of ours inside the guest. Python 3.11 standard library only.

The image holds this directory as a package of its own (`/usr/lib/vertui/agent`, started by its `__main__`);
on the host only `wire` and the bounds of `note` are imported. Modules therefore import each other relatively.

    wire        frames: what both ends of the port speak
    port        the virtio-serial port: connected or not, never spinning, never blocking
    loop        descriptors and timers
    server      requests in, answers and output out
    command     a started command and its end; `streams` are its outputs and input, `ring` keeps its last output
    attachment  a client following a command, from offsets of its own
    spawn       from a request to a running process; `kernel` has what Python lacks
    cgroup      the groups commands run in, and freezing all there are
    freezer     does that; `groups` holds them open; `residents` tells the kernel's threads from whoever else is in the
                root group
    disk        the root disk written out
    bounded     calls that the guest can hold up for ever, each in a thread that may be lost
    mounts      whether there is anything that could hold them up
    standing    what keeps the agent running and answering, whatever users type
    identity    what makes a forked machine distinct; `sockets` closes its outside connections
    clock       the guest's clock, kept with the host's
    processes   what runs and how the machine fares, for the UI
    ssh         sshd, started per connection
    notes       what programs say for the journal, kept until the host has it; `note` is how they say it: `vertui-note`

The keeper (`keeper.sh`), which init starts, starts the agent, also one that ended while the guest was frozen. Both are
in the cgroup `agent`; init and all else is born in `work`, or wherever the guest puts it, and stands still when frozen.
The agent reaches cgroups, /proc and the disk by descriptors of its own, made at its start: nothing it needs to thaw the
guest hangs on what the guest has mounted where. It sleeps in one epoll call and holds no timer while nothing runs.
"""
