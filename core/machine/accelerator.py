"""What runs a machine's processor: the host's own, by KVM, or QEMU's emulation, tcg."""

import os
from pathlib import Path

from core import host
from core.errors import Unsupported

KVM, TCG = "kvm", "tcg"
ACCELERATORS = (KVM, TCG)
DEVICE = "/dev/kvm"


def kvm_trouble(device: str = DEVICE) -> str | None:
    """Why KVM cannot be used now, and the fix; None when the device opens. That a guest boots on it is not said."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return f"{device} is not there: modprobe kvm_intel or kvm_amd"
    except PermissionError:
        return f"{device} may not be opened by you: {host.device_fix(Path(device), 'kvm_intel')}"
    except OSError as error:
        return f"{device} does not open ({error.strerror}): modprobe kvm_intel or kvm_amd"
    return None


def require(accelerator: str) -> None:
    """Unsupported, with the reason, when machines that need this accelerator cannot start now."""
    if accelerator == KVM and (trouble := kvm_trouble()):
        raise Unsupported(
            f"the machine's image was made on KVM, and {trouble}; or build another with --accelerator tcg"
        )
