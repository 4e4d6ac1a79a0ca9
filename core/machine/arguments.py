"""QEMU's command line: the machine a guest sees, and nothing of the host's.

Restoring device state alone needs send-configuration=off and suppress-vmdesc=on on both sides; the machine type and CPU
are named and versioned; `-rtc clock=vm` keeps the state of a paused machine the same at every save.
virtio devices are legacy ones: a modern one saves and loads all of the 1,024 queues it might have, and the state of a
machine is seven times as large. Source: QEMU hw/virtio/virtio-pci.c (vmstate_virtio_pci_modern_state_sub), virtio.c.
"""

from core.machine.protocol import Boot
from core.model import MachineSpec
from core.network.addresses import GUEST_MAC

BASE_FD, TAP_FD, QMP_FD, AGENT_FD, CONSOLE_FD = 3, 4, 5, 6, 7
DISK_NODE = "disk"
TRANSLATIONS_MIB = 32  # of emulated code; QEMU's default grows to 1 GiB a machine
LEGACY = "-legacy"
MACHINE_TYPE = (
    f"pc-q35-7.2{LEGACY}"  # of new images; those of before have QEMU's name alone, and modern devices
)
CPU = "Nehalem-v1"


def arguments(machine: str, spec: MachineSpec, boot: Boot | None) -> list[str]:
    """The argv of a machine whose descriptors are base, tap and the three listening sockets, from 3 on."""
    memory = f"memory-backend-file,id=ram,size={spec.memory_bytes},mem-path=/proc/self/fd/{BASE_FD},share=off"
    nothing = f"file.driver=null-co,file.size={spec.disk_bytes},file.read-zeroes=on"
    network = f"virtio-net-pci,netdev=net,mac={GUEST_MAC},romfile=,addr=5{_notified(spec)}{_virtio(spec)}"
    return [
        "qemu-system-x86_64",
        *("-name", f"vertui-{machine}"),
        *("-nodefaults", "-no-user-config", "-no-reboot"),
        *("-display", "none"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        *("-machine", _machine(spec)),
        *("-accel", _accelerator(spec)),
        *("-cpu", spec.cpu),
        *("-smp", str(spec.vcpus)),
        *("-m", f"{spec.memory_bytes >> 20}M"),
        *("-object", memory),
        *("-global", "migration.send-configuration=off"),
        *("-rtc", "base=utc,clock=vm"),
        *_channel("qmp", QMP_FD),
        *("-mon", "chardev=qmp,mode=control"),
        *("-device", f"virtio-serial-pci,addr=3,ioeventfd=off{_ports(spec)}{_virtio(spec)}"),
        *_channel("console", CONSOLE_FD),
        *("-device", "virtconsole,chardev=console"),
        *_channel("agent", AGENT_FD),
        *("-device", "virtserialport,chardev=agent,name=vertui.agent"),
        *("-blockdev", f"driver=raw,node-name={DISK_NODE},{nothing}"),
        *("-device", f"virtio-blk-pci,drive={DISK_NODE},addr=4{_notified(spec)}{_virtio(spec)}"),
        *("-netdev", f"tap,id=net,fd={TAP_FD}"),
        *("-device", network),
        *("-device", f"virtio-rng-pci,addr=6{_virtio(spec)}"),
        "-S",
        *_start(boot),
    ]


def _machine(spec: MachineSpec) -> str:
    return f"{spec.machine.removesuffix(LEGACY)},hpet=on,smm=off,vmport=off,suppress-vmdesc=on,memory-backend=ram"


def _accelerator(spec: MachineSpec) -> str:
    return f"tcg,tb-size={TRANSLATIONS_MIB}" if spec.accelerator == "tcg" else spec.accelerator


def _notified(spec: MachineSpec) -> str:
    """An eventfd a queue is set up at each `cont` and taken down at each `stop`; only a kernel's guest gains by it. The
    serial device, whose queues carry little, has none.
    """
    return ",ioeventfd=off" if spec.accelerator == "tcg" else ""


def _virtio(spec: MachineSpec) -> str:
    return ",disable-modern=on,disable-legacy=off" if spec.machine.endswith(LEGACY) else ""


def _ports(spec: MachineSpec) -> str:
    """The console, the agent and two to come; QEMU's default of 31 has 64 queues."""
    return ",max_ports=4" if spec.machine.endswith(LEGACY) else ""


def _channel(name: str, descriptor: int) -> list[str]:
    return ["-chardev", f"socket,id={name},fd={descriptor},server=on,wait=off"]


def _start(boot: Boot | None) -> list[str]:
    if boot is None:
        return ["-incoming", "defer"]
    return ["-kernel", str(boot.kernel), "-initrd", str(boot.initrd), "-append", boot.arguments]
