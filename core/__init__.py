"""The snapshot engine under vertui; it knows nothing of terminals.

image   kernel + initrd + root disk + machine spec, and the golden commit made once it has booted
commit  immutable snapshot of memory, disk and devices; data, never a process
branch  a named line of work with a machine; its last commit is its head
trunk   a pointer to one branch, "the" machine
fork    commit a branch, then start N children of that commit
promote point the trunk at a branch
prune   remove branches or commits by plan into the trash, undoable until the grace period ends
REF     branch name, @trunk, commit id prefix of six or more, REF~N

A request always flows the same way: verb -> client -> daemon -> engine -> store, machine, network -> event.
"""

VERSION = "0.2.0"
