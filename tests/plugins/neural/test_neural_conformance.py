"""The conformance kit over the neural codecs, on small random checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

import codecbench_dac
import codecbench_encodec
import codecbench_mimi
import codecbench_speechtokenizer
from codecbench import Codec
from codecbench.conformance import Subject, Verdict, check
from codecbench_dac.codec import load_dac
from codecbench_encodec.codec import load_encodec
from codecbench_mimi.codec import load_mimi

# Random weights give noise, so there is no delay to measure; a known failure is one that the specification names.
EXPECTED = (Verdict.PASS, Verdict.NOT_APPLICABLE, Verdict.DECLARED, Verdict.BLOCKED)


def broken_promises(open_codec: Callable[[], Codec], *, one_process: bool = False) -> list[str]:
    spec = open_codec().spec
    subject = Subject(spec, (lambda: open_codec()) if one_process else open_codec)
    findings = check(subject)
    declared = {known.property for known in spec.known_failures}
    assert {f.name for f in findings if f.verdict is Verdict.DECLARED} == declared
    return [f"{f.name}: {f.message}" for f in findings if f.verdict not in EXPECTED]


def test_mimi(mimi_folder: Path) -> None:
    assert not broken_promises(partial(load_mimi, codecbench_mimi.SPEC, mimi_folder, "cpu"))


def test_mimi_with_all_codebooks(mimi_folder: Path) -> None:
    assert not broken_promises(partial(load_mimi, codecbench_mimi.SPEC_32, mimi_folder, "cpu"), one_process=True)


@pytest.mark.parametrize("spec", [codecbench_encodec.SPEC, codecbench_encodec.SPEC_32], ids=["8", "32"])
def test_encodec(spec: codecbench_encodec.CodecSpec, encodec_folder: Path) -> None:
    assert not broken_promises(partial(load_encodec, spec, encodec_folder, "cpu"), one_process=True)


@pytest.mark.parametrize("spec", codecbench_dac.SPECS, ids=lambda spec: spec.variant)
def test_dac(spec: codecbench_dac.CodecSpec, dac_folders: dict[str, Path]) -> None:
    assert not broken_promises(partial(load_dac, spec, dac_folders[spec.variant], "cpu"), one_process=True)


@pytest.mark.skipif(find_spec("speechtokenizer") is None, reason="the extra 'speechtokenizer' is not installed")
def test_speechtokenizer(speechtokenizer_folder: Path) -> None:
    from codecbench_speechtokenizer.codec import load_speechtokenizer

    assert not broken_promises(
        partial(load_speechtokenizer, codecbench_speechtokenizer.SPEC, speechtokenizer_folder, "cpu")
    )
