#!/bin/sh
# Make the root disk: unpack the Debian tree, lay our files over it, turn it into a filesystem.
# usage: disk.sh TREE ROOTFS_TAR MODULES BUSYBOX GUEST DISK DISK_BYTES (TREE is scratch, removed by the caller)
set -eu
tree=$1 tar=$2 modules=$3 busybox=$4 guest=$5 disk=$6 bytes=$7
ours=$tree/usr/lib/vertui

mkdir "$tree"
# /dev stays empty: the guest mounts devtmpfs there, and an ordinary user cannot make device nodes.
tar --extract --numeric-owner --exclude='./dev/*' --file="$tar" --directory="$tree"

mkdir -p "$ours" "$tree/usr/lib/modules"
cp -R "$modules/." "$tree/usr/lib/modules"
install -m 755 "$busybox" "$ours/busybox"
for script in init console keeper; do
    install -m 755 "$guest/$script.sh" "$ours/$script"
done
install -m 644 "$guest/inittab" "$tree/etc/inittab"
ln -s /usr/bin/python3 "$ours/vertui-agent" # whoever ends every `python3` does not mean the agent
cp -R "$guest/agent" "$ours/agent"
chmod 755 "$ours" "$ours/agent" "$ours/agent/note.py" # for any user, also out of sources that are private
ln -sfT ../lib/vertui/agent/note.py "$tree/usr/bin/vertui-note"
find "$ours/agent" -name __pycache__ -prune -exec rm -rf {} +
# Unchecked: the agent's pages are the same in every image and no start compares times.
chroot "$tree" python3 -m compileall -q --invalidation-mode unchecked-hash /usr/lib/vertui/agent
for tool in modprobe poweroff reboot halt; do
    [ -e "$tree/usr/sbin/$tool" ] || ln -s ../lib/vertui/busybox "$tree/usr/sbin/$tool"
done

# What these names lead to is written when a machine gets its identity, so that none shows on the disk.
own=/run/vertui/identity
ln -sfT $own/machine_id "$tree/etc/machine-id"
ln -sfT $own/hostname "$tree/etc/hostname"
ln -sfT $own/ssh_host_key "$tree/etc/ssh/ssh_host_ed25519_key"
ln -sfT $own/ssh_public_key "$tree/etc/ssh/ssh_host_ed25519_key.pub"
# The only key that is a machine's own: others that a guest makes would be the same in all its forks.
# Whom the home lets in is written when somebody asks for ssh. Emulated, on a busy host, to log in takes minutes.
mkdir -p "$tree/etc/ssh/sshd_config.d"
printf '%s\n' 'HostKey /etc/ssh/ssh_host_ed25519_key' \
    'AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2 /run/vertui/authorized_keys' \
    'LoginGraceTime 900' \
    > "$tree/etc/ssh/sshd_config.d/vertui.conf"
printf '127.0.0.1 localhost\n127.0.1.1 vertui\n::1 localhost ip6-localhost\n' > "$tree/etc/hosts"
echo 'nameserver 10.0.2.3' > "$tree/etc/resolv.conf"
# Whom a home's secrets are swapped in by: its certificate is written when a command is given a placeholder, for programs
# that look authorities up by the hash of their name (openssl x509 -hash), which is the same in all homes.
ln -sfT /run/vertui/authority.crt "$tree/etc/ssl/certs/vertui.pem"
ln -sfT vertui.pem "$tree/etc/ssl/certs/ffac74b3.0"
chown -R 0:0 "$ours" "$tree/usr/lib/modules"
find "$tree" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# No journal: commits give durability. Fixed ids: the same tree gives the same disk.
truncate -s "$bytes" "$disk"
E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -F -t ext4 -O ^has_journal -b 4096 -m 0 -L vertui -U 76657274-7569-4000-8000-000000000001 \
    -E hash_seed=76657274-7569-4000-8000-000000000002,lazy_itable_init=0,root_owner=0:0 -d "$tree" "$disk"
