"""What runs inside a guest, and the host's end of the line to it.

    agent/         the small server inside the guest (standard library only; the host imports its `wire`)
    *.sh, inittab  what starts it there
    connection     one virtio-serial line: greeting, frames, the gate
    streams        a command's output and input as an async iterator
    client         AgentClient: every request the agent answers; `answers` are these as values, each field checked
    sealed         a command started with variables that the agent does not see
    identity       what makes a forked machine distinct
    notes          what programs of the guest say for the journal, put together
    clock          a guest's clock, corrected from outside
    scripts/       programs handed to a guest's python3 as text

Life of a line: connect (a nonce greeting, repeated until answered) → requests, each on a channel of its own → lost,
when either side ends; then every pending request fails with GuestFailed and a new client is made. Commands outlive
lines: their output stays in the guest, and `attach` goes on from any offset. The guest is not trusted: whatever it
sends that is no proper answer ends the line with GuestFailed, and what it can make the host hold is bounded.
"""
