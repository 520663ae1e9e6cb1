"""Phones, speakers and sentences in codes: constructed cases with known answers, and real speech aligned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_testing import BUILTIN, RATE_HZ, make, manifest, record, speech
from token_testing import tokens

import codecbench_semantic
from codecbench import CodecSpec, CodecView, Measurement, Status, Tokens, Utterance
from codecbench_semantic.abx import abx_error
from codecbench_semantic.alignment import Alignment, Phone, PhoneAligner
from codecbench_semantic.frames import Segment, phone_of_frames, segments
from codecbench_semantic.measures import held_out_hits, phone_measures
from codecbench_semantic.phones import PhoneScorer
from codecbench_semantic.sentences import hash_groups

FRAME_RATE_HZ = 50.0
NAMES = ("AA", "B", "IY", "SIL")


def _view(rows: list[tuple[Utterance, Tokens]]) -> CodecView:
    records = [record("token_rate", u.id) for u, _ in rows]
    return CodecView("codec", CodecSpec("codec"), records, (), lambda: iter(rows))


def _utterance(name: str, text: str | None = None, speaker: str | None = None) -> Utterance:
    return Utterance(name, Path(f"{name}.wav"), text, speaker, "en")


def _by_name(rows: list[Measurement]) -> dict[tuple[str, str], Measurement]:
    return {(m.metric, m.component): m for m in rows}


def test_a_code_for_each_phone_tells_all_and_noise_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    phones = rng.integers(0, 40, 20000)
    told = phone_measures(phones, (phones * 7 + 3) % 40)
    assert (told.phone_purity, told.cluster_purity) == (1.0, 1.0)
    assert told.pnmi == pytest.approx(1.0, abs=0.01)
    noise = phone_measures(phones, rng.integers(0, 100, 20000))
    assert noise.pair.enough
    assert noise.pnmi < 0.01 < noise.pnmi_plug_in


def test_pnmi_of_a_known_channel() -> None:
    """Four equal phones; the code tells which half: one of two bits."""
    phones = np.random.default_rng(0).integers(0, 4, 10000)
    found = phone_measures(phones, phones // 2)
    assert found.pnmi == pytest.approx(0.5, abs=0.01)
    assert found.phone_purity == pytest.approx(0.5, abs=0.02)
    assert found.cluster_purity == 1.0


def test_held_out_purity_is_not_gained_by_a_large_codebook() -> None:
    rng = np.random.default_rng(0)
    phones, codes, folds = rng.integers(0, 10, 2000), rng.permutation(2000), np.arange(2000) % 5
    assert phone_measures(phones, codes).phone_purity == 1.0
    assert held_out_hits(phones, codes, folds).mean() < 0.2
    assert held_out_hits(phones, phones + 3, folds).all()


def _spoken(rng: np.random.Generator, phones: int = 60) -> list[Phone]:
    found, time_s = [], 0.0
    for name in rng.choice(NAMES, phones):
        length_s = rng.integers(4, 12) / FRAME_RATE_HZ
        found.append(Phone(str(name), time_s, time_s + length_s))
        time_s += length_s
    return found


def test_frames_belong_to_the_phone_at_their_centre() -> None:
    phones = [Phone("AA", 0.02, 0.10), Phone("+NSN+", 0.10, 0.14)]
    assert phone_of_frames(phones, 9, 50.0) == ["", "AA", "AA", "AA", "AA", "SIL", "SIL", "", ""]
    (segment,) = segments(phones, np.arange(9), 50.0, "s")
    assert segment.codes.tolist() == [1, 2, 3, 4]
    # A phone between two centres of a slow stream takes the frame that it lies in.
    (short,) = segments([Phone("B", 0.30, 0.34)], np.arange(9), 6.25, "s")
    assert short.codes.tolist() == [2]


@given(st.integers(0, 2**32 - 1), st.sampled_from([6.25, 12.5, 25.0, 50.0, 75.0]))
def test_segments_and_frames_agree(seed: int, rate_hz: float) -> None:
    phones = _spoken(np.random.default_rng(seed), 20)
    frames = int(phones[-1].end_s * rate_hz)
    labels = phone_of_frames(phones, frames, rate_hz)
    for segment in segments(phones, np.arange(frames), rate_hz, ""):
        if len(segment.codes) > 1:
            assert {labels[i] for i in segment.codes} == {segment.phone}


def _segments(rng: np.random.Generator, code_of: dict[str, int], flips: float, speaker: str = "s") -> list[Segment]:
    found = []
    for name, code in code_of.items():
        for _ in range(12):
            codes = np.where(rng.random(6) < flips, rng.integers(0, 50, 6), code)
            found.append(Segment(name, speaker, codes))
    return found


def test_abx_is_zero_for_codes_that_name_the_phone_and_half_for_codes_that_do_not() -> None:
    rng = np.random.default_rng(0)
    clear = abx_error(_segments(rng, {"AA": 1, "B": 2, "IY": 3}, 0.0))
    assert clear is not None
    assert (clear.error, clear.pairs, clear.speakers, clear.segments) == (0.0, 6, 1, 36)
    same = abx_error(_segments(rng, {"AA": 1, "B": 1, "IY": 1}, 0.0))
    assert same is not None
    assert same.error == 0.5
    noise = abx_error(_segments(rng, {"AA": 1, "B": 2, "IY": 3}, 1.0))
    assert noise is not None
    assert noise.error == pytest.approx(0.5, abs=0.1)
    worse = [abx_error(_segments(np.random.default_rng(1), {"AA": 1, "B": 2}, f)) for f in (0.3, 0.6, 0.9)]
    errors = [w.error for w in worse if w]
    assert errors == sorted(errors)


def test_abx_by_hand() -> None:
    """X and A of one code each, B in the middle: X=[1,1] is 1/2 from A=[1,2] and 1/2 from B=[2,1], 1 from C=[3,3]."""
    codes = {"A": [[1, 1], [1, 2]], "B": [[2, 1]], "C": [[3, 3]]}
    found = abx_error([Segment(p, "s", np.array(c)) for p, rows in codes.items() for c in rows])
    assert found is not None
    # A against B: X=[1,1] ties (0.5); X=[1,2]: to A 0.5, to B 1 (0). Against C: never wrong.
    assert found.error == pytest.approx(np.mean([0.25, 0.0]))
    assert abx_error([Segment("A", "s", np.array([1])), Segment("B", "t", np.array([1]))]) is None


def test_abx_compares_within_speakers_only() -> None:
    rng = np.random.default_rng(0)
    swapped = _segments(rng, {"AA": 1, "B": 2}, 0.0, "s") + _segments(rng, {"AA": 2, "B": 1}, 0.0, "t")
    found = abx_error(swapped)
    assert found is not None
    assert (found.error, found.speakers) == (0.0, 2)


class _KnownAligner(PhoneAligner):
    """Gives the alignments that the test made."""

    def __init__(self, known: dict[str, list[Phone]]) -> None:
        self.name, self._known = "known", known

    def align(self, utterance: Utterance) -> Alignment:
        found = self._known.get(utterance.id)
        return Alignment(tuple(found)) if found else Alignment(problem="not known")


def test_the_scorer_measures_each_codebook_against_the_alignment() -> None:
    rng = np.random.default_rng(0)
    known = {f"u{i}": _spoken(rng) for i in range(12)}
    rows = []
    for name, phones in known.items():
        labels = phone_of_frames(phones, int(phones[-1].end_s * FRAME_RATE_HZ), FRAME_RATE_HZ)
        first = np.array([NAMES.index(label) * 2 if label else 0 for label in labels])
        codes = np.stack([first + rng.integers(0, 2, len(first)), rng.integers(0, 8, len(first))])
        rows.append((_utterance(name, f"text {name}", "s"), tokens(codes, (8, 8), FRAME_RATE_HZ)))
    rows.append((_utterance("unknown"), rows[0][1]))
    found = _by_name(list(PhoneScorer(_KnownAligner(known)).score(_view(rows))))
    assert found["pnmi", "codes/0"].value == pytest.approx(1.0, abs=0.02)
    assert found["phone_accuracy_pct", "codes/0"].value > 99
    assert found["cluster_purity", "codes/0"].value == pytest.approx(0.5, abs=0.05)
    assert found["abx_error_pct", "codes/0"].value < 15
    assert found["pnmi", "codes/1"].value < 0.02
    assert ("abx_error_pct", "codes/1") not in found
    detail = json.loads(found["pnmi", "codes/0"].detail)
    assert (detail["aligner"], detail["utterances"], detail["not_aligned"], detail["phones"]) == ("known", 12, 1, 4)


def test_nothing_aligned_and_nothing_coded_have_no_value() -> None:
    rows = [(_utterance("u"), tokens(np.zeros((1, 9), np.int64), (8,), FRAME_RATE_HZ))]
    (first, *_) = PhoneScorer(_KnownAligner({})).score(_view(rows))
    assert (first.status, "u: not known" in first.reason) == (Status.NO_TEXT, True)
    assert {m.status for m in PhoneScorer(_KnownAligner({})).score(_view([]))} == {Status.NOT_APPLICABLE}


def test_real_speech_is_aligned_where_its_sounds_are(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    name = "librivox-sense-0870"
    row = manifest()[name]
    utterance = Utterance(name, BUILTIN / f"{name}.flac", row["text"], language="en")
    aligner = PhoneAligner(tmp_path)
    found = aligner.align(utterance)
    assert not found.problem
    assert all(a.end_s <= b.start_s + 1e-9 for a, b in zip(found.phones, found.phones[1:], strict=False))
    assert 0.9 < found.phones[-1].end_s / (len(speech(name)) / RATE_HZ) <= 1.01
    # Silences and stops are quieter than vowels: were the alignment elsewhere, there would be no difference.
    energy = {kind: [] for kind in ("vowel", "silence")}
    for phone in found.phones:
        part = speech(name)[int(phone.start_s * RATE_HZ) : int(phone.end_s * RATE_HZ)]
        kind = "silence" if phone.is_silence else "vowel" if phone.name[0] in "AEIOU" else ""
        if kind:
            energy[kind].append(float(np.mean(part**2)))
    assert np.median(energy["vowel"]) > 10 * np.median(energy["silence"] or [0.0])
    assert len(list(tmp_path.iterdir())) == 1
    assert PhoneAligner(tmp_path).align(utterance) == found


def test_an_alignment_does_not_depend_on_what_was_aligned_before(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    aligner, noise = PhoneAligner(tmp_path), np.random.default_rng(0).standard_normal(30 * RATE_HZ)
    told = []
    for name in ("asterisk-en-check-number-dial-again", "librivox-sense-0880", "librivox-sense-0930"):
        clip = speech(name)
        told.append((np.float32(clip + 0.03 * np.abs(clip).max() * noise[: clip.size]), manifest()[name]["text"]))
    there, back = ([aligner.align_audio(*pair) for pair in order] for order in (told, told[::-1]))
    assert all(found.phones for found in there)
    assert there == back[::-1]


def test_what_cannot_be_aligned_says_why(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    aligner = PhoneAligner(tmp_path)
    assert "xqzzy" in aligner.align_audio(speech(), "the xqzzy went home").problem
    assert aligner.align(_utterance("u")).problem == "no English text"
    assert "Utterance" not in aligner.align(_utterance("gone", "some text")).problem
    assert aligner.align(_utterance("gone", "some text")).problem


def _speaker_rows(separable: bool) -> list[tuple[Utterance, Tokens]]:
    rng = np.random.default_rng(0)
    rows = []
    for s in range(4):
        for i in range(10):
            codes = rng.integers(0, 32, 100) + (8 * s if separable else 0)
            rows.append((_utterance(f"u{s}-{i}", speaker=f"s{s}"), tokens(codes[None], (64,), FRAME_RATE_HZ)))
    return rows


def _share(rows: list[Measurement]) -> float:
    return sum(m.numerator or 0 for m in rows) / len(rows)


def test_the_probe_tells_speakers_that_the_codes_tell_and_is_at_chance_otherwise() -> None:
    scorer = make(codecbench_semantic, "speaker_codes")
    told = list(scorer.score(_view(_speaker_rows(True))))
    assert len(told) == 40
    assert _share(told) == 1.0
    detail = json.loads(told[0].detail)
    assert (detail["speakers"], detail["chance_pct"], told[0].component) == (4, 25.0, "codes")
    assert _share(list(scorer.score(_view(_speaker_rows(False))))) < 0.5


def test_one_speaker_cannot_be_probed() -> None:
    rows = [(u, e) for u, e in _speaker_rows(True) if u.speaker == "s0"]
    (measured,) = make(codecbench_semantic, "speaker_codes").score(_view(rows))
    assert measured.status is Status.NOT_APPLICABLE
    assert "1 speakers" in measured.reason


def _readings(kind: str) -> list[tuple[Utterance, Tokens]]:
    """Eight sentences read by six people each."""
    rng = np.random.default_rng(0)
    said = [rng.integers(0, 500, 60) for _ in range(8)]
    rows = []
    for s in range(6):
        for t, codes in enumerate(said):
            own = rng.integers(0, 500, 60)
            kept = rng.random(60) < 0.1
            codes = {"same": np.where(kept, own, codes), "own": own, "speaker": np.arange(60) + 60 * s}[kind]
            rows.append((_utterance(f"u{s}-{t}", f"Sentence number {t}!", f"s{s}"), tokens(codes[None], (500,), 50.0)))
    return rows


def _snmi(kind: str) -> dict[str, float | None]:
    found = make(codecbench_semantic, "sentence_codes").score(_view(_readings(kind)))
    assert all(m.component == "codes/0" for m in found)
    return {m.metric: m.value for m in found}


def test_snmi_of_sentences_that_sound_alike_of_noise_and_of_speakers() -> None:
    pytest.importorskip("datasketch")
    same = _snmi("same")
    assert same["snmi"] == pytest.approx(1.0, abs=0.05)
    assert same["snmi_adjusted"] == pytest.approx(1.0, abs=0.05)
    own = _snmi("own")
    assert own["snmi"] == pytest.approx(1.0)  # every reading a group of its own: why the adjusted one stands beside it
    assert own["snmi_adjusted"] == pytest.approx(0.0, abs=1e-6)
    assert _snmi("speaker")["snmi"] == pytest.approx(0.0, abs=1e-9)


def test_snmi_needs_sentences_that_are_read_twice() -> None:
    rows = _readings("same")[:8]
    found = make(codecbench_semantic, "sentence_codes").score(_view(rows))
    assert {m.status for m in found} == {Status.NOT_APPLICABLE}


def test_alike_sequences_of_other_lengths_are_one_group() -> None:
    pytest.importorskip("datasketch")
    codes = np.random.default_rng(0).integers(0, 1000, 100)
    groups = hash_groups([codes, codes[10:], codes + 1000, codes[:1]])
    assert groups[0] == groups[1]
    assert len(set(groups.tolist())) == 3
