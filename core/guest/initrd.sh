#!/bin/sh
# /init of the initrd: load what stands between the kernel and its root disk, then hand over.
# Any failure ends PID 1: the kernel panics and the machine ends, which the host sees at once.
set -e
export PATH=/bin

mount -t devtmpfs devtmpfs /dev
while read -r module; do
    insmod "/modules/$module.ko"
done < /modules/order

mount -t ext4 -o rw,noatime /dev/vda /root # noatime: reading a file must not show in a diff
mount -o move /dev /root/dev
exec switch_root /root /usr/lib/vertui/init
