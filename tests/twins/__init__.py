"""The engine's seams in memory: each twin passes the same suite as the real thing, and needs no machine, root or disk.

    held      `Held`: children are numbers, descriptors are copies
    machine   `Hypervisor`, `Machine`: memory is a dict of pages, the guest of `guest`
    guest     the guest's agent: it speaks the wire, freezes, and takes identities
    network   `BranchNetwork`, `Network`: a namespace is a file in memory
    store     `PageStore`: whole contents of commits       views   `Views`: those as plain files
    engine    a home with an image on which a whole `Engine` runs

What a twin leaves out: time, damage and want of means. For these the real thing is wrapped (see `tests/README.md`).
"""
