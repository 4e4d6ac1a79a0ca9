#!/bin/sh
# mmdebstrap's last hook, $1 the new root: with that root's own apt, fetch the kernel and busybox beside it
# (neither is installed), then drop what only installing needed.
set -eu
root=$1
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" LC_ALL=C

mkdir "$root/debs"
cd "$root/debs"
kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p')
apt-get download -q "$kernel" busybox-static

cd "$root"
rm -f etc/apt/apt.conf.d/99mmdebstrap
rm -rf usr/share/doc/* usr/share/man/* usr/share/info/* usr/share/locale/* usr/share/lintian
rm -f var/cache/debconf/*-old var/lib/dpkg/*-old var/log/*.log var/log/apt/*
rm -f etc/ssh/ssh_host_*
chroot . passwd -d root
