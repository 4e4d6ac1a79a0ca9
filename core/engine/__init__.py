"""The verbs, and what they share.

    context   Engine: catalog, store, machines, networks, events of one home
    live      a branch's machine with its network, agent and console
    capture   commit, pause, resume            start     machines out of commits, distinct and awake
    seams     what the verbs ask of            sealing, stalls: the tasks that work behind them
    members   machines of no branch that wait  warm      those machines started and ended
    pool      keeps as many as are wanted      reaping   networks taken apart in the background
    fork      up, fork                         plans     promote, prune, trash: shown, then executed once
    changes   what undo and redo apply         images    build, base images
    recover   what a daemon finds when it starts          inspect   tree, sizes
    points    states of disks held still, path indexes    compare   diff, siblings, patch
    guests    what only running guests can tell           export    trees as tar        apply   changes into a branch
    secrets   values handed to commands                   scrub     files wiped before a commit
    scoring   what commands score                         tally     how far a verb is that does much
    journals  what was said and done in branches          recording commands, as journals have them
    guest_notes  what programs inside say         endings   how commands ended that nobody follows (`unattended`)
    attending work for branches that events name, one task for each
    acting    what was done in branches                   checkpoints, thinning, policing: commits made by themselves
    recovery  a branch from its head and its journal      replay: recorded commands run again

A verb is a function of the Engine. Its docstring says what it requires, does on success, and leaves on failure.
Every state-changing one runs inside `operations.operation`, which writes an intent first and the outcome last.
"""
