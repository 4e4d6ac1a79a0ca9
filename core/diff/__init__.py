"""What differs between machine states: disks read from outside, without a mount or help from the guest, and pages.

Words
    disk            whole 4 KiB blocks that never change while open; `core.disk.qcow2.ChainDisk` is one
    volume          the ext4 filesystem on a disk, as mke2fs 1.47 makes it without a journal and a kernel leaves it
    record          an inode as it lies in an inode table
    meta            what `stat` tells of an inode, with its symlink target, device number and attributes
    owned blocks    data, extent tree and attribute blocks: a change in one touches the inode that owns it
    touched         an inode whose record or owned blocks differ; all others are the same on both disks
    path index      all names and owned blocks of a base image; made once, kept by the caller, never changed

Life of a diff: changed blocks → touched inodes → names taken away and added → entries → renames paired.

A disk must have been taken whole: quiesced, or synced with nothing writing. What cannot be read is refused as
Unsupported or Damaged in one line; checksums are verified wherever the filesystem has them.

Asked of disks       diff_disks, index_of, walk, read_file (filesystem); what a diff holds: entry, meta
What is shown        Selection (select), shown (shape), result, patch, changed_lines (text), matrix (multi)
What leaves a disk   patch with `whole` and its remarks (text, carry, binary), archive (archive), merge (merge)
Beside files         installed_packages (packages), differing_pages, heat_map (pages), compare_walks (walked)

They are imported from their modules, so that a reader of disks needs nothing of the comparison.
"""
