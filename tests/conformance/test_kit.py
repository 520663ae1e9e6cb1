"""The kit itself: good codecs pass, and each broken one is caught by exactly the property that it breaks."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_codecs import (
    BROKEN,
    GOOD,
    DiesElsewhere,
    GoodBitstream,
    GoodCodec,
    GoodEncodeOnly,
    GoodEqualFrames,
    GoodSingle,
    KnowsItsProcess,
    LeaksAtTheLastFrame,
    LosesASample,
    RaisesElsewhere,
)

from codecbench import Codec, KnownFailure, UsageError
from codecbench.conformance import PROPERTIES, Examination, Subject, Verdict, check, conformance_tests
from codecbench.conformance.causality import _measure_look_ahead
from codecbench.conformance.signals import synthetic_speech

test_good_codec = conformance_tests(GoodCodec)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Some of the broken codecs change the process; put it back."""
    dtype, threads, seed, numpy_seed, python_seed = (
        torch.get_default_dtype(), torch.get_num_threads(), torch.get_rng_state(), np.random.get_state(),
        random.getstate(),
    )  # fmt: skip
    torch.set_num_threads(1)
    yield
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)
    torch.set_rng_state(seed)
    np.random.set_state(numpy_seed)
    random.setstate(python_seed)


def subject(codec: type[Codec]) -> Subject:
    """One that stays in this process, where starting another costs more than all the rest."""
    return Subject(codec.spec, lambda: codec())


@pytest.mark.parametrize("codec", [GoodSingle, GoodEqualFrames, GoodEncodeOnly, GoodBitstream])
def test_good_codecs_of_other_kinds_pass(codec: type[Codec]) -> None:
    failing = [f for f in check(subject(codec)) if f.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)]
    assert not failing


def test_the_good_codec_is_judged_by_every_property() -> None:
    """Nothing else is skipped for it (processes: `test_good_codec`; capabilities: it has them all)."""
    verdicts = {f.name: f.verdict for f in check(subject(GoodCodec))}
    assert {n: v for n, v in verdicts.items() if v is not Verdict.PASS} == {
        "capabilities": Verdict.NOT_APPLICABLE,
        "determinism-processes": Verdict.NOT_APPLICABLE,
    }


@pytest.mark.parametrize("codec", BROKEN, ids=lambda codec: codec.__name__)
def test_a_broken_codec_is_caught_by_exactly_the_property_meant(codec: type[Codec]) -> None:
    examined = Subject(codec.spec, codec) if codec is KnowsItsProcess else subject(codec)
    failing = {f.name: f.message for f in check(examined) if f.verdict is Verdict.FAIL}
    assert list(failing) == [BROKEN[codec]], failing
    assert failing[BROKEN[codec]]


@pytest.mark.parametrize(
    ("codec", "message"), [(DiesElsewhere, "exit code 3"), (RaisesElsewhere, "RuntimeError: no licence")]
)
def test_a_codec_that_breaks_down_in_another_process_is_named(codec: type[Codec], message: str) -> None:
    finding = Examination(Subject(codec.spec, codec)).finding("determinism-processes")
    assert finding.verdict is Verdict.FAIL
    assert message in finding.message


def test_every_property_has_a_codec_that_breaks_it() -> None:
    assert set(BROKEN.values()) == {p.name for p in PROPERTIES}


def test_needs_stand_before_what_needs_them() -> None:
    seen: set[str] = set()
    for judged in PROPERTIES:
        assert set(judged.needs) <= seen, judged.name
        seen.add(judged.name)


def test_the_frames_that_differ_are_named() -> None:
    finding = Examination(subject(LeaksAtTheLastFrame)).finding("batch-unequal-lengths")
    assert finding.message == (
        "row 1 (32 samples), batched against alone: stream 'codes': 1 of 4 frames differ (frames 3; codebooks 0)"
    )


def test_what_cannot_be_judged_is_blocked_and_says_by_what() -> None:
    finding = Examination(subject(LosesASample)).finding("silence")
    assert finding.verdict is Verdict.BLOCKED
    assert "round-trip-length" in finding.message


def _declaring(codec: type[Codec], failure: KnownFailure) -> Subject:
    spec = replace(codec.spec, known_failures=(failure,))
    return Subject(spec, type("Declaring", (codec,), {"spec": spec}))


def test_a_declared_failure_is_shown_as_declared_with_its_reason() -> None:
    declared = KnownFailure("batch-unequal-lengths", "convolutions see the padding")
    findings = check(_declaring(LeaksAtTheLastFrame, declared))
    finding = next(f for f in findings if f.name == "batch-unequal-lengths")
    assert finding.verdict is Verdict.DECLARED
    assert "convolutions see the padding" in finding.message
    assert all(f.ok for f in findings)


def test_a_declared_failure_that_passes_is_reported() -> None:
    finding = Examination(_declaring(GoodCodec, KnownFailure("silence", "long ago"))).finding("silence")
    assert finding.verdict is Verdict.UNEXPECTED_PASS
    assert "take it out" in finding.message


def test_a_declared_failure_of_no_property_is_a_fault() -> None:
    finding = Examination(_declaring(GoodCodec, KnownFailure("batching", "?"))).finding("metadata")
    assert finding.verdict is Verdict.FAIL
    assert "batching" in finding.message


def test_an_unknown_property_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'silence'"):
        check(subject(GoodCodec), ["silense"])


@pytest.mark.parametrize("ahead", [0, 3, 40])
def test_look_ahead_is_measured_exactly(ahead: int) -> None:
    """On a codec whose look-ahead is known: each sample takes in its frame of 8, and that of ``ahead`` samples on."""

    class Ahead(GoodCodec):
        def decode(self, encoded, mode="full"):  # type: ignore[no-untyped-def]
            waves = super().decode(encoded, mode)
            means = waves.audio.unflatten(-1, (-1, 8)).mean(-1, keepdim=True).expand(-1, -1, -1, 8).flatten(-2)
            later = torch.nn.functional.pad(means, (0, ahead))[..., ahead:]
            return replace(waves, audio=means + later)

    assert _measure_look_ahead(subject(Ahead)) == GOOD.algorithmic_delay_samples + ahead


def test_synthetic_speech_is_the_same_everywhere_and_within_scale() -> None:
    one, two = synthetic_speech(), synthetic_speech()
    assert np.array_equal(one.audio, two.audio)
    assert 0.25 < np.abs(one.audio).max() <= 0.31


def test_command_lists_properties_and_judges(capsys: pytest.CaptureFixture[str]) -> None:
    from click.testing import CliRunner

    from codecbench.cli.check import check_command

    runner = CliRunner()
    listed = runner.invoke(check_command, ["--properties", "--json"], standalone_mode=False)
    assert {row["name"] for row in json.loads(listed.stdout)} == {p.name for p in PROPERTIES}
    judged = runner.invoke(check_command, ["identity", "--only", "silence", "--json"], standalone_mode=False)
    assert judged.return_value == 0
    findings = json.loads(judged.stdout)["findings"]
    assert [(f["name"], f["verdict"]) for f in findings] == [("silence", "pass")]
