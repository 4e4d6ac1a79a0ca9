"""Views: a stored commit's memory or disk as a plain file, `MOUNT/COMMIT/memory` and `/disk`, filled in on first touch.

source   where the bytes come from: `PageSource`
wire     what the kernel says on /dev/fuse, and how it is answered
damage   what readers met that is not as it was written: a record each
nodes    the numbers commits have in the mount; they outlive the server
server   the process that answers; it may die at any instant
nursery  it has imported what a server needs, and forks successors for the holder
mount    the mount itself, in the holder's private mount namespace
protocol `Views`: what the engine asks of them
keeper   `FuseViews`: the daemon's side. It mounts once, and has the holder serve

Life cycle: the daemon opens /dev/fuse, mounts it, has the holder keep the descriptor and always have a server run on
it, whether there is a daemon or not: a daemon that waits for a page cannot even end before it has that. While a server
is dead the descriptor is still open, so a touch of an absent page waits; the successor has the kernel send it every
unanswered request again. The end of the holder closes the descriptor and the namespace: the mount goes.
"""
