#!/bin/sh
# Make L1's root disk: Debian, its kernel's modules, the Python packages vertui imports, and an init that goes on with
# ours, from the tar on the second disk.
# usage: disk.sh TREE ROOTFS_TAR MODULES PACKAGES DISK DISK_BYTES (TREE is scratch, removed by the caller)
set -eu
tree=$1 tar=$2 modules=$3 packages=$4 disk=$5 bytes=$6

mkdir "$tree"
tar --extract --numeric-owner --exclude='./dev/*' --file="$tar" --directory="$tree"
mkdir -p "$tree/usr/lib/modules" "$tree/opt/packages" "$tree/opt/vertui" "$tree/usr/lib/vertui"
cp -R "$modules/." "$tree/usr/lib/modules"
chroot "$tree" depmod "$(ls "$modules")"
cp -R "$packages/." "$tree/opt/packages"
cat > "$tree/usr/lib/vertui/init" <<END # where our initrd hands over
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
tar -xf /dev/vdb -C /opt/vertui
exec bash /opt/vertui/scripts/kvm/init.sh
END
chmod 755 "$tree/usr/lib/vertui/init"
chown -R 0:0 "$tree/usr/lib/modules" "$tree/opt" "$tree/usr/lib/vertui"
truncate -s "$bytes" "$disk"
mke2fs -q -F -t ext4 -O ^has_journal -b 4096 -m 0 -E lazy_itable_init=0,root_owner=0:0 -d "$tree" "$disk"
