"""Made-up packages and plugins for tests of isolation: wheels written by hand, codecs that fail on purpose."""

from __future__ import annotations

import textwrap
import zipfile
from pathlib import Path

PLUGIN = '''
"""A codec that packs levels with {module} {version} and stands for nothing else."""

import ctypes, os, sys, time

import numpy as np
import torch

from codecbench import BadInput, Bitstream, Codec, CodecSpec, OptionSpec, Unavailable, Waveforms, hookimpl

HOP = 160


class Levels(Codec):
    def __init__(self, spec, context):
        import {module}

        self.spec, self.library = spec, {module}
        if context.options["fault"] == "refuse":
            raise Unavailable("its weights are not here", "fetch them")

    def encode(self, batch):
        for utterance in batch.utterances:
            self.misbehave(utterance.id)
        print("plugins print", flush=True)
        return Bitstream(tuple(self.pack(batch.row(i)) for i in range(len(batch))), batch.num_samples)

    def pack(self, audio):
        frames = torch.nn.functional.pad(audio, (0, -len(audio) % HOP)).reshape(-1, HOP)
        levels = (frames.abs().amax(1) * 255).round().clamp(0, 255).int().tolist()
        library = self.library
        return bytes([int(library.__version__.split(".")[0])]) + {pack}

    def decode(self, encoded, mode="full"):
        rows = []
        for payload, length in zip(encoded.payloads, encoded.num_samples.tolist()):
            levels = np.frombuffer(payload[1:], np.uint8) / 255
            rows.append((levels[:, None] * np.sin(np.arange(HOP))).reshape(-1)[:length])
        return Waveforms.stack(rows, 16000)

    def misbehave(self, fault):
        if fault == "raise":
            raise RuntimeError("this utterance cannot be coded")
        if fault == "input":
            raise BadInput("this utterance is not speech")
        if fault == "segfault":
            ctypes.string_at(0)
        if fault == "exit":
            os._exit(7)
        if fault == "hang":
            time.sleep(3600)
        if fault == "hog":
            self.held = np.empty(1 << 50, np.uint8)  # more than there are addresses for
        if fault == "close":
            os.closerange(0, 64)
            time.sleep(3600)


def identity(spec, options):
    import {module}

    return {{"library": {module}.__version__, "random": float(torch.rand(1)) * 0}}


@hookimpl
def register_codecs(register):
    options = (OptionSpec("fault", "what goes wrong", default=""),)
    spec = CodecSpec("{codec}", sample_rate_hz=16000, bitrate_bps=800.0, frame_samples=HOP, options=options,
                     requirements=("{requirement}",))
    register(spec, Levels, identity=identity)
'''


def write_plugin(folder: Path, name: str, module: str, version: str, pack: str = "library.pack(levels)") -> Path:
    """Write a plugin file whose codec (the name with dashes) needs exactly ``module`` of ``version``."""
    text = PLUGIN.format(
        module=module, version=version, pack=pack, codec=name.replace("_", "-"), requirement=f"{module}=={version}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(text).lstrip(), "utf-8")
    return path


def write_wheel(folder: Path, name: str, version: str, source: str) -> Path:
    """Write a wheel of one module."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", source)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def levelpacker(version: str) -> str:
    """Return the source of ``levelpacker``, whose version 2 renamed what version 1 has."""
    function = "pack" if version.startswith("1") else "pack_levels"
    return f"__version__ = {version!r}\n\n\ndef {function}(levels):\n    return bytes(levels)\n"
