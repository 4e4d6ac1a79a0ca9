#!/usr/lib/vertui/busybox sh
# PID 1 until the guest is set up; then busybox init, which keeps /etc/inittab's processes alive and reaps orphans.
# No udev and no systemd: the hardware is known and boot takes as long as these lines.
bb=/usr/lib/vertui/busybox
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

$bb mount -t proc -o nosuid,nodev,noexec proc /proc
$bb mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
$bb mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
$bb mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs /run
$bb mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /tmp
$bb mkdir -p /dev/pts /dev/shm /run/lock /run/sshd /run/vertui /sys/fs/cgroup/work
echo 1 > /sys/fs/cgroup/work/cgroup.procs # where every process is born but the agent and the kernel's
$bb mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts /dev/pts
$bb mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /dev/shm
$bb ln -sf /proc/self/fd /dev/fd
$bb ln -sf /proc/self/fd/0 /dev/stdin
$bb ln -sf /proc/self/fd/1 /dev/stdout
$bb ln -sf /proc/self/fd/2 /dev/stderr

# Every machine has these addresses: what tells branches apart is outside, in their namespaces.
$bb hostname vertui
$bb ip link set lo up
if [ -d /sys/class/net/eth0 ]; then
    echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6
    $bb ip address add 10.0.2.15/24 dev eth0
    $bb ip link set eth0 up
    $bb ip route add default via 10.0.2.2
fi

exec $bb init
