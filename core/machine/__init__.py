"""Machines: QEMU processes that map a base image privately, so that what a guest changed is exactly what is anonymous.

warm      started on a base image with a placeholder disk, nothing loaded
loaded    memory delta injected, disk chain opened, device state in: `paused`, ready to continue
running   continued; captured by stop → overlay → device state → scan → read → cont
"""
