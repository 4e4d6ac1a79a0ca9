"""A machine's disk as files on the host, read without QEMU and without a mount.

block      4 KiB of a disk, the unit of everything here; a disk is a whole number of them
layer      a file of a disk's chain: raw at the bottom, qcow2 overlays above, of which the topmost alone is written
disk       what a reader asks: `blocks.Disk`, which a chain of layers (`qcow2.ChainDisk`) is, as is a table of the
           store's (`core.store.table_disk.TableDisk`)
"""
