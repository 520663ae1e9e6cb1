"""Every codec that comes with the suite, held to the contract where it can be had here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from codecbench import Unavailable
from codecbench.conformance import Examination, Verdict, subject_by_name
from codecbench.plugins import PluginHost, load_plugins

HOST: PluginHost = load_plugins()
FAMILIES = {
    family.name: [e.spec.full_name for e in family.entries.values()] for family in HOST.registry.codecs.values()
}
# What differs between variants of one family; the rest is judged on the first of them.
OF_EVERY_VARIANT = ("metadata", "token-format", "waveform-format", "round-trip-length", "short-input", "frame-rate",
                    "bitrate", "output-delay", "algorithmic-delay")  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def failing(name: str, properties: tuple[str, ...] = ()) -> dict[str, str]:
    try:
        subject = subject_by_name(HOST.registry, name)
    except Unavailable as problem:
        pytest.skip(f"{name}: {problem}")
    wrong = (Verdict.FAIL, Verdict.UNEXPECTED_PASS)
    return {f.name: f.message for f in Examination(subject).findings(properties) if f.verdict in wrong}


@pytest.mark.parametrize("name", [names[0] for names in FAMILIES.values()])
def test_a_family_keeps_the_contract(name: str) -> None:
    assert not failing(name)


@pytest.mark.parametrize("name", [name for names in FAMILIES.values() for name in names[1:]])
def test_a_variant_keeps_the_contract(name: str) -> None:
    assert not failing(name, OF_EVERY_VARIANT)


def test_the_ceiling_is_among_them() -> None:
    """Guards against judging nothing: discovery found the suite's own codecs."""
    assert "identity" in FAMILIES
