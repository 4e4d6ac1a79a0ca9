"""`sync`: a directory of this machine and one in a branch kept alike, by rsync's own protocol.

Glossary
    far side     the rsync that runs in the guest; its standard streams reach ours through exec
    remote shell what rsync starts to reach the far side: a small program that hands its streams to us, so that no
                 second client of the daemon is started
    rules        what git would leave out, by files such as `.gitignore`
    lane         one branch that follows a directory, in a thread of its own
    receiver     a program that stays in such a branch and puts small edits in place, so that none is started for each
    first        into an empty directory: one stream, of which a program of ours in the guest makes files

The rsync here runs in a mount namespace in which, when files come in, nothing but their directory can be written.
"""
