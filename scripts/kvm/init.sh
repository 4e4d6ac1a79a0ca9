#!/bin/bash
# PID 1 of L1: what vertui needs of a host, then the main job, then the end.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=linux
exec < /dev/hvc0 > /dev/hvc0 2>&1 # the kernel opened no console: its driver is a module
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
hostname l1
ip link set lo up
ulimit -n 65536
for module in kvm-amd fuse tun veth loop nf_tables; do
    modprobe "$module" || echo "l1: no module $module"
done

export PYTHONPATH=/opt/vertui:/opt/packages PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1
export VERTUI_HOME=/root/home VERTUI_SLOW=60
cd /opt/vertui
if [ "$(cat /opt/vertui/job)" = shell ]; then
    setsid --ctty bash -l
else
    python3 scripts/kvm/inside.py
fi
sync
echo o > /proc/sysrq-trigger
sleep 60
