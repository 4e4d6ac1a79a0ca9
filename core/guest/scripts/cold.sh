#!/bin/sh
# /init of the initrd when a machine is booted from the disk that another one left when it died: the filesystem is
# repaired by its own e2fsck, which is copied to memory first, as the disk must not be mounted meanwhile. What failing
# means is as in initrd.sh; a disk that cannot be repaired is tried all the same.
set -e
export PATH=/bin
bb=/bin/busybox

mount -t devtmpfs devtmpfs /dev
while read -r module; do
    insmod "/modules/$module.ko"
done < /modules/order

copy='fsck=$(command -v e2fsck) || exit 1
for file in $(/lib64/ld-linux-x86-64.so.2 --list "$fsck" | sed -n "s,^[^/]*\(/[^ ]*\) (.*,\1,p"); do
    mkdir -p "/tmp$(dirname "$file")" && cp -L "$file" "/tmp$file" || exit 1
done
mkdir -p /tmp/dev /tmp/proc && cp -L "$fsck" /tmp/e2fsck'

repair() {
    mount -t tmpfs tmpfs /root/tmp &&
        PATH=/usr/sbin:/usr/bin:/sbin:/bin "$bb" chroot /root /usr/lib/vertui/busybox sh -c "$copy" || return 1
    "$bb" mkdir -p /check
    mount -o move /root/tmp /check
    "$bb" umount /root
    mount -o bind /dev /check/dev
    mount -t proc proc /check/proc
    "$bb" chroot /check /e2fsck -f -y /dev/vda
    [ $? -lt 4 ] || echo "vertui: not all of the disk could be repaired"
    "$bb" umount /check/proc
    "$bb" umount /check/dev
    "$bb" umount /check
}

mount -t ext4 -o ro,noatime /dev/vda /root
repair || {
    echo "vertui: the disk was not checked, there is no e2fsck on it that runs"
    "$bb" umount /root/tmp || :
    "$bb" umount /root || :
}
mount -t ext4 -o rw,noatime /dev/vda /root
mount -o move /dev /root/dev
exec switch_root /root /usr/lib/vertui/init
