"""Devices as they are named on the command line: ``cuda``, ``cuda:0,cuda:1``, ``cpu*4``."""

from __future__ import annotations

from collections.abc import Callable

from codecbench.errors import UsageError


def parse_devices(text: str) -> tuple[str, ...]:
    """Split ``NAME[*COUNT],…`` into one name for each codec process; raises UsageError."""
    devices: list[str] = []
    for part in text.split(","):
        name, star, count = (piece.strip() for piece in part.partition("*"))
        if not name or (star and not (count.isdecimal() and int(count) > 0)):
            raise UsageError(f"--device takes NAME or NAME*COUNT, by commas, for example cuda:0,cuda:1; got '{text}'")
        devices += [name] * int(count or 1)
    if len({kind(device) for device in devices}) > 1:
        raise UsageError(f"--device {text}: the devices of one run must be of one kind, since values may depend on it")
    return tuple(devices)


def kind(device: str) -> str:
    """``cuda`` of ``cuda:1``."""
    return device.partition(":")[0]


def all_visible(devices: tuple[str, ...], count_accelerators: Callable[[], int]) -> tuple[str, ...]:
    """Replace a single ``cuda`` by every one of this machine; raises UsageError where one is not there."""
    if kind(devices[0]) != "cuda":
        return devices
    count = count_accelerators()
    if devices == ("cuda",) and count:
        return tuple(f"cuda:{index}" for index in range(count))
    for device in devices:
        index = device.partition(":")[2] or "0"
        if not (index.isdecimal() and int(index) < count):
            raise UsageError(
                f"device '{device}': this machine shows {count} CUDA devices; check its driver, or use cpu"
            )
    return devices
