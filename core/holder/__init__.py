"""The holder: the small process of a home that owns namespaces, descriptors and every other process.

    server     its main loop and the requests it takes; `python -m core.holder.server HOME`
    protocol   `Held`, `HostPorts`: what the daemon asks     held      the daemon's line to it
    wire       the shapes of requests and answers
    ask        one request and its answer, for whoever wants no more: clients that wait for a daemon
    warden     keeps one daemon running          pulse     by which the daemon shows that it does
    services   keeps other children running      nursery   how a child that forks others is asked for one
    porter     runs jobs in the host's network   listening  sockets that it opens there
    spawn      how a process is started          outputs    what such a process prints
    confine    what a machine's process may      landlock   which files it may have
    limits, environment                          what all of them are started with

Life cycle: the first verb starts it, it starts the daemon, and it outlives every daemon. Its end is the end of all that
it holds: machines, descriptors, namespaces.
"""
