"""The machine and the software that a run was made with."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from codecbench.runner.config import available_cores

_PACKAGES = ("torch", "torchaudio", "numpy", "scipy", "pesq", "pystoi", "jiwer", "transformers", "faster-whisper",
             "ctranslate2", "av", "soundfile", "pandas", "pyarrow", "distillmos", "resemblyzer")  # fmt: skip


def describe_hardware(device: str = "cpu") -> dict[str, Any]:
    """Return processor, cores, memory and accelerator as plain values."""
    block: dict[str, Any] = {
        "processor": _processor(),
        "cores": available_cores(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "device": device,
    }
    if device.startswith("cuda"):
        import torch

        properties = torch.cuda.get_device_properties(device)
        block["accelerator"] = properties.name
        block["accelerator_memory_gib"] = round(properties.total_memory / 2**30, 1)
    return block


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide figures."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None
