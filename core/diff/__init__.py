"""What differs between two machine disks, read from outside: no mount, no help from the guest.

Words
    disk            whole 4 KiB blocks that never change while open; `core.machine.qcow2.ChainDisk` is one
    volume          the ext4 filesystem on a disk, as mke2fs 1.47 makes it without a journal and a kernel leaves it
    record          an inode as it lies in an inode table
    meta            what `stat` tells of an inode, with its symlink target, device number and attributes
    owned blocks    data, extent tree and attribute blocks: a change in one touches the inode that owns it
    touched         an inode whose record or owned blocks differ; all others are the same on both disks
    path index      all names and owned blocks of a base image; made once, kept by the caller, never changed

Life of a diff: changed blocks → touched inodes → names taken away and added → entries → renames paired.

A disk must have been taken whole: quiesced, or synced with nothing writing. What cannot be read is refused as
Unsupported or Damaged in one line; checksums are verified wherever the filesystem has them.

Public names: `diff_disks`, `index_of`, `walk`, `read_file` (filesystem), `PathIndex` (index), `Entry`, `Kind`,
`Change`, `FilesystemDiff` (entry), `Meta`, `FileType` (meta), `patch` (text), `as_json` (shape), `Disk` (disk).
They are imported from their modules, so that a reader of disks needs nothing of the comparison.
"""
