"""QEMU's command line: the machine a guest sees, and nothing of the host's.

Restoring device state alone needs send-configuration=off and suppress-vmdesc=on on both sides; the machine type and CPU
are named and versioned; `-rtc clock=vm` keeps the state of a paused machine the same at every save.

A lean machine has as little state as can be: legacy virtio devices, for a modern one saves and loads all of the 1,024
queues it might have, and a state is seven times as large; no device that no guest uses; few ports; and few BARs, for
each costs a load a rebuilt memory map. Source: QEMU hw/virtio/virtio-pci.c
(vmstate_virtio_pci_modern_state_sub), hw/pci/pci.c (pci_update_mappings).
"""

import json
from pathlib import Path

from core.holder.confine import Confinement
from core.machine import blocks
from core.machine.protocol import Boot, Layer
from core.model import MachineSpec
from core.network.addresses import GUEST_MAC

BASE_FD, TAP_FD, QMP_FD, AGENT_FD, CONSOLE_FD, DEVICES_FD = 3, 4, 5, 6, 7, 8
WRITER_FD, READER_FD, ASKING_FD, KERNEL_FD, INITRD_FD = 9, 10, 11, 12, 13
OWN_BYTES = 2 << 30
"""QEMU's own memory, beside its guest's: a stack for each of some 70 threads, translated code, what it buffers."""
LAYER_ROOM = 2  # times a disk: a layer may have all of it, and its tables
SMALL_FILE_BYTES = 64 << 20  # the state of devices is small
TRANSLATIONS_MIB = 32  # of emulated code; QEMU's default grows to 1 GiB a machine
LEAN = "-lean"  # ends our machine types' names; older images have QEMU's own types, which are not lean
MACHINE_TYPE = f"pc-q35-7.2{LEAN}"
PORTS = 4  # the console, the agent and two to come; QEMU's default of 31 has 64 queues
CPU = "Nehalem-v1"


def arguments(machine: str, spec: MachineSpec, layer: Layer, boot: Boot | None) -> list[str]:
    """The command line of a machine that writes `layer`. Its descriptors from 3 on are the base, the tap, the three
    listening sockets, the file in which it will find its device state, and what the layer is written and read
    by, a socket to ask whoever started it, and its boot's files.
    """
    memory = f"memory-backend-file,id=ram,size={spec.memory_bytes},mem-path={base_name()},share=off"
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
        *("-device", f"virtio-serial-pci,addr=3,ioeventfd=off{_seldom(spec, f'max_ports={PORTS}')}"),
        *_channel("console", CONSOLE_FD),
        *("-device", "virtconsole,chardev=console"),
        *_channel("agent", AGENT_FD),
        *("-device", "virtserialport,chardev=agent,name=vertui.agent"),
        *("-blockdev", json.dumps(blocks.written(layer))),
        *("-blockdev", json.dumps(blocks.drive(layer))),
        *(
            "-device",
            f"virtio-blk-pci,drive={blocks.DRIVE},addr=4,werror=stop{_notified(spec)}{_virtio(spec)}",
        ),
        *("-netdev", f"tap,id=net,fd={TAP_FD}"),
        *("-device", network),
        *("-device", f"virtio-rng-pci,addr=6{_seldom(spec)}"),
        "-S",
        *_start(boot),
    ]


def files_given(boot: Boot) -> Boot:
    """A boot's files by the names under which QEMU opens them again."""
    return Boot(_again(KERNEL_FD), _again(INITRD_FD), boot.arguments)


def limits(spec: MachineSpec) -> Confinement:
    """What QEMU may take at most."""
    data, file = spec.memory_bytes + OWN_BYTES, LAYER_ROOM * spec.disk_bytes + SMALL_FILE_BYTES
    return Confinement(data, file, reopened=BASE_FD, asking=ASKING_FD)


def base_name() -> str:
    """The name under which QEMU opens its memory's file."""
    return str(_again(BASE_FD))


def _again(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}")


def _machine(spec: MachineSpec) -> str:
    told = (
        f"{spec.machine.removesuffix(LEAN)},hpet=on,smm=off,vmport=off,suppress-vmdesc=on,memory-backend=ram"
    )
    return f"{told},sata=off,smbus=off" if _is_lean(spec) else told


def _is_lean(spec: MachineSpec) -> bool:
    return spec.machine.endswith(LEAN)


def _accelerator(spec: MachineSpec) -> str:
    return f"tcg,tb-size={TRANSLATIONS_MIB}" if spec.accelerator == "tcg" else spec.accelerator


def _notified(spec: MachineSpec) -> str:
    """No eventfds under emulation: one for each queue is set up at each `cont` and taken down at each `stop`, and only
    a guest on KVM gains by it. The serial device, whose queues carry little, has none at all.
    """
    return ",ioeventfd=off" if spec.accelerator == "tcg" else ""


def _virtio(spec: MachineSpec) -> str:
    return ",disable-modern=on,disable-legacy=off" if _is_lean(spec) else ""


def _seldom(spec: MachineSpec, *more: str) -> str:
    """The options of a device that seldom interrupts: it does so by a pin, without MSI-X vectors."""
    return ",".join([_virtio(spec), "vectors=0", *more]) if _is_lean(spec) else ""


def _channel(name: str, descriptor: int) -> list[str]:
    return ["-chardev", f"socket,id={name},fd={descriptor},server=on,wait=off"]


def _start(boot: Boot | None) -> list[str]:
    if boot is None:
        return ["-incoming", "defer"]
    return ["-kernel", str(boot.kernel), "-initrd", str(boot.initrd), "-append", boot.arguments]
