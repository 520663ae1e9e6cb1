"""The pure parts of the data preparation: texts, filters, joining, manifests, and the split by speaker."""

from __future__ import annotations

import collections
import itertools
import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "plugins")]

from speechdata import asterisk, asterisk_en, audio, kokoro, prepare, records, sources, splits, texts  # noqa: E402
from speechdata.records import SAMPLE_RATE_HZ, SpeechDataError, Utterance  # noqa: E402

RNG = np.random.default_rng(0)


def _speech_like(seconds: float, level: float = 0.1) -> np.ndarray:
    """Noise whose level rises and falls four times a second, as syllables do."""
    time = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    envelope = 0.02 + np.square(np.sin(2 * np.pi * 2 * time))
    return (level * envelope * RNG.standard_normal(time.size).clip(-3, 3)).astype(np.float32)


def _utterance(utterance_id: str, text: str | None = "a text") -> Utterance:
    return Utterance(utterance_id, f"{utterance_id}.flac", text, "speaker", "en", 1.5, "0" * 64, "CC0-1.0", "nowhere")


# --- manifests and files -------------------------------------------------------------------------------------------


def test_manifest_round_trip_keeps_every_field_and_sorts_by_id(tmp_path: Path) -> None:
    written = [_utterance("b"), _utterance("a", text=None), _utterance("ж")]
    assert records.write_manifest(tmp_path / "m.jsonl", written) == 3
    assert records.read_manifest(tmp_path / "m.jsonl") == sorted(written, key=lambda u: u.id)
    first = json.loads((tmp_path / "m.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["text"] is None
    assert "text_note" not in first
    assert [p.name for p in tmp_path.iterdir()] == ["m.jsonl"]


def test_manifest_refuses_duplicate_ids_and_names_a_malformed_line(tmp_path: Path) -> None:
    with pytest.raises(SpeechDataError, match="'a' occurs twice"):
        records.write_manifest(tmp_path / "m.jsonl", [_utterance("a"), _utterance("a")])
    (tmp_path / "bad.jsonl").write_text(_utterance("a").to_json() + "\n{oops\n", encoding="utf-8")
    with pytest.raises(SpeechDataError, match="line 2"):
        records.read_manifest(tmp_path / "bad.jsonl")


def test_flac_is_lossless_and_its_digest_is_the_files(tmp_path: Path) -> None:
    samples = RNG.integers(-32_768, 32_767, 8_001).astype(np.int16)
    digest = records.write_flac(tmp_path / "x.flac", samples)
    back, rate = soundfile.read(tmp_path / "x.flac", dtype="int16")
    assert rate == SAMPLE_RATE_HZ
    np.testing.assert_array_equal(back, samples)
    assert digest == records.write_flac(tmp_path / "y.flac", samples)
    with pytest.raises(ValueError, match="int16"):
        records.write_flac(tmp_path / "z.flac", samples.astype(np.float32))


# --- filters -------------------------------------------------------------------------------------------------------


def test_trim_cuts_silence_to_the_margin_and_keeps_the_speech() -> None:
    silence = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    speech = _speech_like(2.0)
    trimmed = audio.trim(np.concatenate([silence, speech, silence]))
    margins = 2 * audio.MARGIN_FRAMES * audio.FRAME_SAMPLES
    assert speech.size - 2 * audio.FRAME_SAMPLES <= trimmed.size <= speech.size + margins + 2 * audio.FRAME_SAMPLES
    assert audio.trim(silence).size == 0
    assert audio.trim(silence[:0]).size == 0


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (_speech_like(3.0), None),
        (_speech_like(0.5), "too short"),
        (_speech_like(100.0), "too long"),
        (_speech_like(3.0, level=1e-4), "silent"),
        (np.zeros(0, dtype=np.float32), "silent"),
        (_speech_like(3.0, level=30.0).clip(-1, 1), "clipped"),
        (np.full(48_000, np.nan, dtype=np.float32), "not finite"),
        (0.3 * np.sin(np.arange(48_000) * 0.1).astype(np.float32), "no speech (steady level)"),
        (0.1 * RNG.standard_normal(48_000).astype(np.float32), "no speech (steady level)"),
    ],
)
def test_junk_is_named(samples: np.ndarray, reason: str | None) -> None:
    assert audio.why_junk(samples, audio.Limits()) == reason


def test_resampling_keeps_a_tone_and_removes_what_would_alias() -> None:
    time = np.arange(44_100) / 44_100
    kept = audio.resample(np.sin(2 * np.pi * 1_000 * time).astype(np.float32), 44_100)
    expected = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)
    assert np.abs(kept[500:15_500] - expected[500:15_500]).max() < 1e-3
    removed = audio.resample(np.sin(2 * np.pi * 9_000 * time).astype(np.float32), 44_100)
    assert np.abs(removed[500:15_500]).max() < 1e-3


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=50))
def test_sixteen_bits_are_within_half_a_step_or_limited(values: list[float]) -> None:
    samples = np.array(values, dtype=np.float32)
    back = audio.to_int16(samples).astype(np.float64) / 32_767
    assert np.abs(back - samples.clip(-1, 1)).max() <= 0.5 / 32_767 + 1e-7 + 1 / 32_767 * (np.abs(samples) > 1).any()


# --- joining -------------------------------------------------------------------------------------------------------


def _part(speaker: str, seconds: float, index: int) -> prepare.Part:
    clip = sources.Clip(f"{speaker}-{index}", Path("x"), f"text {index}", speaker, "en", "CC0-1.0", "nowhere")
    return prepare.Part(clip, _speech_like(seconds))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.4, 6.0)), max_size=15))
def test_joining_loses_nothing_and_never_mixes_speakers(items: list[tuple[str, float]]) -> None:
    clips = [sources.Clip(f"{s}-{i}", Path("x"), None, s, "en", "", "") for i, (s, _) in enumerate(items)]
    samples = [np.zeros(int(seconds * SAMPLE_RATE_HZ), dtype=np.float32) for _, seconds in items]
    parts = [prepare.Part(clip, x) for clip, x in zip(clips, samples, strict=True)]
    groups = list(prepare.join_short(parts))
    assert sorted(p.clip.id for g in groups for p in g) == sorted(c.id for c in clips)
    for group in groups:
        assert len({p.clip.speaker for p in group}) == 1
        assert len(group) == 1 or all(p.seconds < prepare.JOIN_BELOW_SECONDS for p in group)


def test_concatenation_has_gaps_between_parts_and_leaves_one_alone() -> None:
    parts = [_part("a", 1.0, 0), _part("a", 2.0, 1)]
    joined = prepare.concatenate(parts)
    assert joined.size == sum(p.samples.size for p in parts) + SAMPLE_RATE_HZ // 20
    assert not joined[SAMPLE_RATE_HZ : SAMPLE_RATE_HZ + SAMPLE_RATE_HZ // 20].any()
    np.testing.assert_array_equal(prepare.concatenate(parts[:1]), parts[0].samples)


def test_prepare_writes_files_that_the_manifest_describes_and_counts_junk(tmp_path: Path) -> None:
    for index, samples in enumerate([_speech_like(4.0), _speech_like(1.2), _speech_like(1.3), np.zeros(32_000)]):
        soundfile.write(tmp_path / f"{index}.wav", samples, SAMPLE_RATE_HZ)
    (tmp_path / "4.wav").write_bytes(b"not audio")
    clips = [
        sources.Clip(f"c{i}", tmp_path / f"{i}.wav", f"text {i}", "s", "en", "CC0-1.0", f"file {i}") for i in range(5)
    ]
    report = prepare.Report()
    utterances = prepare.prepare("source", clips, tmp_path / "out", audio.Limits(), report)
    assert [u.id for u in utterances] == ["c0", "c1+1"]
    assert utterances[1].text == "text 1 text 2"
    assert utterances[1].source == "file 1; file 2"
    assert report.kept == 3
    assert report.left_out == {"silent": 1, "unreadable": 1}
    for utterance in utterances:
        info = soundfile.info(tmp_path / "out" / utterance.audio)
        assert (info.samplerate, info.channels) == (SAMPLE_RATE_HZ, 1)
        assert info.duration == pytest.approx(utterance.seconds, abs=1e-3)


# --- who is where --------------------------------------------------------------------------------------------------


def test_dev_readers_are_twenty_and_do_not_depend_on_order() -> None:
    speakers = [f"ls-{i}" for i in range(100)] + ["lj", "asterisk-carlo"]
    chosen = splits.choose_dev_speakers(speakers)
    assert len(chosen) == splits.DEV_READERS
    assert all(s.startswith("ls-") for s in chosen)
    assert chosen == splits.choose_dev_speakers(reversed(speakers))
    with pytest.raises(SpeechDataError, match="expected more than"):
        splits.choose_dev_speakers(speakers[:20])


@pytest.mark.parametrize(
    ("train", "dev", "held_out", "named"),
    [
        ("ab", "bc", "d", "training and dev"),
        ("ab", "c", "bd", "training and held-out"),
        ("a", "c", "c", "dev and held"),
    ],
)
def test_an_overlap_of_speakers_stops_the_preparation(train: str, dev: str, held_out: str, named: str) -> None:
    with pytest.raises(SpeechDataError, match=named):
        splits.check_no_overlap(train, dev, held_out)


def test_disjoint_speakers_pass() -> None:
    splits.check_no_overlap("ab", "c", "de")


def test_the_speaker_of_asterisk_english_and_spanish_is_held_out_and_no_other_asterisk_voice_is() -> None:
    held_out = {key for key, voice in asterisk.VOICES.items() if voice.speaker in splits.FIXED_HELD_OUT_SPEAKERS}
    assert held_out == {"en", "es"}


def test_default_sources_leave_out_english_and_spanish_asterisk() -> None:
    import prepare_training_data as script

    names = script.recorded_sources(script.parse_arguments(["--out", "x"]))
    assert {"asterisk-fr", "asterisk-it", "asterisk-ru", "read-english"} <= names.keys()
    assert not {"asterisk-en", "asterisk-es"} & names.keys()
    assert "asterisk-es" in script.recorded_sources(script.parse_arguments(["--out", "x", "--include-spanish"]))


def test_readers_who_may_be_the_librivox_reader_stay_out(shared_dir: Path) -> None:
    import prepare_training_data as script

    everybody = {clip.speaker for clip in sources.read_english_clips(shared_dir / "speech", "train")}
    left = {clip.speaker for clip in script.training_readers(shared_dir / "speech")}
    assert everybody - left == splits.PERHAPS_HELD_OUT_SPEAKERS


def test_synthetic_speech_alone_is_summed_up_without_dev_readers(
    shared_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import prepare_training_data as script

    records.write_manifest(tmp_path / "flite.jsonl", [_utterance("a"), _utterance("b")])
    script.check_and_summarise(
        script.parse_arguments(["--out", str(tmp_path), "--only", "flite", "--speech-dir", str(shared_dir / "speech")])
    )
    assert "training: 0.001 h" in capsys.readouterr().out


def test_speakers_of_read_english_train_and_heldout_are_disjoint(shared_dir: Path) -> None:
    parts = {split: list(sources.read_english_clips(shared_dir / "speech", split)) for split in ("train", "heldout")}
    train = {clip.speaker for clip in parts["train"]}
    dev = splits.choose_dev_speakers(train)
    assert len(dev) == splits.DEV_READERS
    splits.check_no_overlap(train - dev, dev, {clip.speaker for clip in parts["heldout"]})


@pytest.mark.parametrize("language", ["fr", "it", "ru"])
def test_recordings_of_the_builtin_corpus_are_not_in_training(language: str) -> None:
    try:
        clips = {clip.id for clip in sources.asterisk_clips(language)}
    except SpeechDataError as error:
        pytest.skip(str(error))
    manifest = ROOT / "plugins" / "codecbench_corpora" / "data" / "builtin" / "manifest.jsonl"
    builtin = {utterance.id for utterance in records.read_manifest(manifest)}
    assert len(clips) > 400
    assert not clips & builtin
    assert len(clips | {i for i in builtin if i.startswith(f"asterisk-{language}-")}) == len(clips) + 3


# --- texts ---------------------------------------------------------------------------------------------------------


def test_prompt_list_leaves_out_comments_and_descriptions_of_tones() -> None:
    listing = "; comment: no\n\na/b: One: two.\nbeep: [a tone]\nbell: (ding)\nempty:\nc: Yes.  No.\n"
    assert asterisk.parse_prompt_list(listing) == {"a/b": "One: two.", "c": "Yes.  No."}


def test_dialogs_and_stamp_descriptions_are_parsed() -> None:
    script = 'dialogId("x-m-a", "font", "Hello (you)")\ndialogStr("Ahoj \\"ty\\"!")\n\n\ndialogId("b", "f", "B")\n'
    assert sources.parse_dialogs(script + 'dialogStr("Bé.")\n') == {"x-m-a": 'Ahoj "ty"!', "b": "Bé."}
    description = "A frog.\ncs.utf8=Žába.\npt_BR.utf8=Um sapo.\n"
    assert sources.stamp_text(description, "en") == "A frog."
    assert sources.stamp_text(description, "pt_BR") == "Um sapo."
    assert sources.stamp_text(description, "pt") is None


def test_corrections_apply_and_one_that_does_not_is_an_error() -> None:
    corrections = {"x": asterisk_en.Correction((("*", "star"),), "symbols")}
    assert asterisk_en.correct_text("x", "...press * now...", corrections) == ("press star now", "symbols")
    assert asterisk_en.correct_text("y", "press 1 . Then", corrections) == ("press 1 Then", None)
    with pytest.raises(SpeechDataError, match="does not apply"):
        asterisk_en.correct_text("x", "press star", corrections)


def test_every_committed_correction_changed_the_committed_list() -> None:
    path = ROOT / "plugins" / "codecbench_corpora" / "data" / "asterisk_en.jsonl"
    prompts = {p["id"]: p for p in map(json.loads, path.read_text(encoding="utf-8").splitlines())}
    corrections = asterisk_en.load_corrections()
    assert {key for key, prompt in prompts.items() if "text_note" in prompt} == corrections.keys()
    for key, correction in corrections.items():
        assert prompts[key]["text_note"] == correction.note
        assert all(new in prompts[key]["text"] for _, new in correction.replace)


def test_grammar_fills_every_slot_and_is_varied() -> None:
    grammar = texts.load_grammar()
    rng = random.Random(1)
    sentences = [grammar.sentence(rng) for _ in range(2_000)]
    assert not any(set("{}[]|0123456789") & set(s) for s in sentences)
    assert all(s[0].isupper() or s[0] == '"' for s in sentences)
    assert len(set(sentences)) > 1_700
    assert not any(" a o" in s or " a e" in s for s in sentences)
    assert [grammar.sentence(random.Random(7)) for _ in range(3)] == [grammar.sentence(random.Random(7))] * 3


def test_matrix_sentences_are_five_even_and_independent_words() -> None:
    grammar = texts.load_grammar(texts.MATRIX_FILE)
    assert all(len(words) == len(set(words)) == 10 for words in grammar.words.values())
    sentences = list(itertools.islice(texts.grammar_sentences(grammar, 0), 4_000))
    assert len(set(sentences)) == 4_000
    columns = list(zip(*(s.rstrip(".").split() for s in sentences), strict=True))
    assert len(columns) == 5
    for one, other in itertools.combinations(columns, 2):
        pairs = collections.Counter(zip(one, other, strict=True))
        assert len(pairs) == 100
        assert max(pairs.values()) < 2 * 40


def test_sentences_of_prose_are_cut_to_speakable_ones() -> None:
    prose = (
        "Too short. We hold these truths to be self-evident,\n  that all men are equal; and so on it goes for us. (No.)"
    )
    assert texts.split_sentences(prose) == [
        "We hold these truths to be self-evident, that all men are equal.",
        "And so on it goes for us.",
    ]


def test_english_sentences_do_not_repeat_and_follow_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "public_domain_sentences", lambda: [f"Verse {i}" for i in range(5)])
    first = list(itertools.islice(texts.english_sentences(3), 200))
    assert len(set(first)) == 200
    assert sum(s.startswith("Verse") for s in first) == 5
    assert first == list(itertools.islice(texts.english_sentences(3), 200))
    assert first != list(itertools.islice(texts.english_sentences(4), 200))


def test_ipa_is_rewritten_in_the_models_symbols() -> None:
    assert kokoro.to_kokoro_symbols("d^ʒˈɔ^ɪ", british=False) == "ʤˈY"
    assert kokoro.to_kokoro_symbols("ɡˈo^ʊ", british=False) == "ɡˈO"
    assert kokoro.to_kokoro_symbols("ɡˈə^ʊ", british=True) == "ɡˈQ"
    assert kokoro.to_kokoro_symbols("bˈɜːd", british=False) == "bˈɜɹd"
    assert kokoro.to_kokoro_symbols("bˈɜːd", british=True) == "bˈɜːd"
