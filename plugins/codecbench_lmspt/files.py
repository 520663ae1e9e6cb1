"""Where weight files lie and what they are called; nothing here needs torch."""

from __future__ import annotations

from pathlib import Path

HUB_NAME = "kakaocorp/lmspt"
HUB_FILE = "lmspt_12d5hz_16384_4096.safetensors"
WEIGHTS_DIR = Path(__file__).parent / "weights"
SPEC_KEY = "lmspt_spec"
LICENCE_KEY = "licence"


class WeightsError(ValueError):
    """A weight file that is missing, of the wrong kind, or not of this model."""


def shipped_weights(preset: str) -> Path:
    """Where the package carries weights for a preset, whether or not the file is there."""
    return WEIGHTS_DIR / f"{preset}.safetensors"


def find_file(path: Path, preset: str | None = None) -> Path:
    """The weight file that a path names: itself, or in a folder the one that fits.

    In a folder: ``<preset>.safetensors``, ``model.safetensors``, the hub's file, or the only one there is. Raises
    :class:`WeightsError`.
    """
    path = path.expanduser()
    if not path.exists():
        raise WeightsError(f"no such weight file or folder: {path}")
    if not path.is_dir():
        return path
    files = sorted(path.glob("*.safetensors"))
    for name in (f"{preset}.safetensors", "model.safetensors", HUB_FILE):
        if path / name in files:
            return path / name
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise WeightsError(f"{path}: exactly one .safetensors file is expected, found {names}; pass the file itself")
    return files[0]
