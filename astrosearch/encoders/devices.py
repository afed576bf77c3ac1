"""Where torch computes, and in which precision."""

import ctypes
import sys

import torch

from astrosearch.errors import InputError, SetupError


def pick_device(name: str | None = None) -> torch.device:
    """The device of a name; by default the best of this machine.

    Raises:
        InputError: if there is no such kind of device.
        SetupError: if this machine does not have it.
    """
    if name is None:
        name = "cpu"
        if torch.cuda.is_available():
            name = "cuda"
        elif torch.backends.mps.is_available():
            name = "mps"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"{name!r} is not a device: use cuda, mps or cpu") from None
    if (device.type == "cuda" and not torch.cuda.is_available()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    ):
        raise SetupError(
            f"torch {torch.__version__} finds no {device.type} device; without a choice the best "
            "device of this machine is used"
        )
    return device


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies matrices of it (CUDA from Ampere on, Intel AMX),
    float32 elsewhere: there bfloat16 is slower."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        fast = bool(torch.cpu.get_capabilities().get("amx_bf16"))
    else:
        fast = False
    return torch.bfloat16 if fast else torch.float32


def keep_freed_memory() -> None:
    """Let glibc keep the memory of large tensors for the next ones of their size.

    Otherwise it gives it back to the system at once, and training on a CPU spends a fifth of its
    time on page faults. With another C library nothing happens.
    """
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)
