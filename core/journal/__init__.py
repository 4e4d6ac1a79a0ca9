"""The journal: what was said and done in a branch, kept beside the commits of what that did to its machine.

Glossary
    entry     what was said or done once: a line of JSON that ends in the hash of all before it in the line
    chain     the entries of a branch from the first on; each names the hash of the one before, its `parent_hash`
    segment   the file that has a branch's own entries; its first line is its head
    head      names the segment, the place in the parent's chain and the hash there, where the branch was forked
    stretch   the part of a segment that belongs to a chain: of a parent's only what was there at the fork
    body      what was said; a long one lies apart, packed, in a file that a branch has for them
    tried     said of entries whose work the branch's machine does not have, as it was taken back to before them
    means     what a command was given and no entry tells (values, input): kept with the bodies, for a replay alone
    mark      the newest entry of kind restore, up to another entry: it tells what is tried from then on

Life cycle
    An entry is given its number and its hash, waits with others, and is written with them: one append and one flush a
    segment. Who appended it is answered after that. A segment is made with its first entry, or at the fork when the
    parent has entries: by a head that need not survive the host, as the catalog tells the same. It goes when its branch
    is gone for good and no chain leads through it.

What holds
    - Nothing is ever changed but for a tail that a crash left: what follows the last whole line, or a hole. No entry in
      it was answered.
    - A head names only an entry that is on disk, and so does a commit's `journal_position`: the last entry that its
      machine may know of, counted at the instant of its capture.
    - One process writes a home's journals, the daemon; numbers are given on its event loop. So two who append at once
      get two numbers, and one chain.
    - Bodies are no pages of the store, which are a commit's and come to disk behind it: a body is on disk when its
      append is answered, for one flush beside that of the lines, and goes with its branch. Of the last ones that are
      equal in a branch, one is stored.
    - The fields `v`, `seq`, `parent_hash` and `hash`, the first two at the beginning and the last at the end of a line,
      are of every version. What else a newer version writes is kept, checked and shown as it is.
"""
