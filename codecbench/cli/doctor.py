"""``codecbench doctor``: what is installed, what clashes, what is missing, and the line that mends it."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata

import click

from codecbench.cli.common import default_host, json_option, print_json, print_table
from codecbench.hardware import describe_hardware

_CORE = ("torch", "torchaudio", "numpy", "pandas", "pyarrow", "pesq", "pystoi", "jiwer", "soundfile", "matplotlib")


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis: ``state`` is ok, note or problem."""

    what: str
    state: str
    detail: str
    mend: str = ""


@click.command("doctor")
@json_option
def doctor_command(as_json: bool) -> int:
    """Say what is installed, missing or clashing, and the exact line that mends it."""
    findings = list(diagnose())
    if as_json:
        print_json([asdict(f) for f in findings])
    else:
        print_table("Doctor", ("what", "state", "detail", "to mend"), [tuple(asdict(f).values()) for f in findings])
    return 1 if any(f.state == "problem" for f in findings) else 0


def diagnose() -> Iterator[Finding]:
    """Yield findings: interpreter, machine, core packages, the torch pair, plugins, what is unavailable."""
    yield Finding("python", "ok", sys.version.split()[0])
    hardware = describe_hardware()
    yield Finding("machine", "ok", f"{hardware['processor']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB")
    for name in _CORE:
        yield _package(name)
    yield _torch_pair()
    yield _accelerator()
    compiler = shutil.which("cc") or shutil.which("gcc")
    yield Finding("C compiler", "ok" if compiler else "note", compiler or "none: 'pesq' cannot be built anew")
    for plugin in default_host().plugins:
        state = "problem" if plugin.error else "ok"
        detail = plugin.error or ", ".join(h.removeprefix("register_") for h in plugin.hooks)
        mend = f"pip install --upgrade {plugin.distribution}, or remove it" if plugin.error else ""
        yield Finding(f"plugin {plugin.name}", state, detail, mend)
    yield from _unavailable()


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, "problem", "not installed", f"pip install {name}")


def _torch_pair() -> Finding:
    try:
        importlib.import_module("torchaudio")
    except Exception as error:
        mend = "pip install 'torch>=2.11,<2.12' 'torchaudio>=2.11,<2.12'"
        return Finding("torch + torchaudio", "problem", f"torchaudio fails to import: {error}", mend)
    return Finding("torch + torchaudio", "ok", "a matched pair")


def _accelerator() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("accelerator", "ok", torch.cuda.get_device_name())
    return Finding("accelerator", "note", "no CUDA device: codecs run on the CPU")


def _unavailable() -> Iterator[Finding]:
    from codecbench.loading import prepare

    registry = default_host().registry
    for family in registry.codecs.values():
        problems = [prepare(registry, e.spec.full_name, {}).unavailable for e in family.entries.values()]
        told = next((p for p in problems if p is not None), None)
        if told is not None:
            count = sum(p is not None for p in problems)
            where = "all" if count == len(problems) else f"{count} of {len(problems)}"
            yield Finding(f"codec {family.name}", "note", f"{where} variants unavailable: {told.reason}", told.remedy)
