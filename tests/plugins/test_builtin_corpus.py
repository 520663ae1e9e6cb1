"""The committed built-in corpus and the list of Asterisk English prompts are what they say they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

DATA = Path(__file__).resolve().parents[2] / "plugins" / "codecbench_corpora" / "data"
BUILTIN = DATA / "builtin"


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def utterances() -> list[dict[str, Any]]:
    return _lines(BUILTIN / "manifest.jsonl")


def test_every_file_is_listed_once_and_unchanged(utterances: list[dict[str, Any]]) -> None:
    assert sorted(u["audio"] for u in utterances) == sorted(p.name for p in BUILTIN.glob("*.flac"))
    assert len({u["id"] for u in utterances}) == len(utterances)
    for utterance in utterances:
        digest = hashlib.sha256((BUILTIN / utterance["audio"]).read_bytes()).hexdigest()
        assert digest == utterance["sha256"], utterance["id"]


def test_audio_is_sixteen_kilohertz_mono_speech_of_the_stated_length(utterances: list[dict[str, Any]]) -> None:
    for utterance in utterances:
        info = soundfile.info(BUILTIN / utterance["audio"])
        assert (info.samplerate, info.channels, info.format) == (16_000, 1, "FLAC"), utterance["id"]
        samples, _ = soundfile.read(BUILTIN / utterance["audio"], dtype="float32")
        assert samples.size / 16_000 == pytest.approx(utterance["seconds"], abs=1e-3), utterance["id"]
        assert 2.0 <= utterance["seconds"] <= 12.0, utterance["id"]
        level_db = 20 * np.log10(np.sqrt(np.mean(samples**2)))
        assert -40 < level_db < -8, (utterance["id"], level_db)


def test_texts_are_whole_sentences_without_markers(utterances: list[dict[str, Any]]) -> None:
    for utterance in utterances:
        assert len(utterance["text"].split()) >= 4, utterance["id"]
        assert not set("[](){}<>*#|_?") & set(utterance["text"]), utterance["id"]
        # Between 1 and 6 words a second: a text of another recording would fall outside.
        assert 1.0 < len(utterance["text"].split()) / utterance["seconds"] < 6.0, utterance["id"]


def test_corpus_has_the_stated_make_up(utterances: list[dict[str, Any]]) -> None:
    languages = [u["language"] for u in utterances]
    assert {key: languages.count(key) for key in set(languages)} == {"en": 29, "fr": 3, "it": 3, "ru": 3}
    assert len({u["speaker"] for u in utterances}) == 5
    assert 120 < sum(u["seconds"] for u in utterances) < 240
    assert sum(p.stat().st_size for p in BUILTIN.iterdir()) < 4_500_000


def test_every_source_has_a_licence_and_an_attribution(utterances: list[dict[str, Any]]) -> None:
    licences = (BUILTIN / "LICENCES.md").read_text(encoding="utf-8")
    for utterance in utterances:
        package = utterance["source"].split(":")[0].removeprefix("Debian ")
        assert package in licences
        assert utterance["licence"].split(" ")[0].replace("CC-", "CC ").replace("-3.0", " 3.0") in licences


def test_asterisk_list_holds_the_197_prompts_with_notes_only_where_changed() -> None:
    prompts = _lines(DATA / "asterisk_en.jsonl")
    assert len(prompts) == len({p["id"] for p in prompts}) == 197
    for prompt in prompts:
        assert prompt["path"] == f"en_US_f_Allison/{prompt['id']}.g722"
        assert len(prompt["text"].split()) >= 4
        assert not set("[]()*#") & set(prompt["text"]), prompt["id"]
        assert "..." not in prompt["text"]
    assert 10 <= sum("text_note" in p for p in prompts) <= 30


def test_builtin_english_texts_agree_with_the_asterisk_list(utterances: list[dict[str, Any]]) -> None:
    texts = {p["id"].replace("/", "-"): p["text"] for p in _lines(DATA / "asterisk_en.jsonl")}
    prompts = {u["id"].removeprefix("asterisk-en-"): u for u in utterances if u["id"].startswith("asterisk-en-")}
    assert len(prompts) == 24
    assert all(texts[key] == utterance["text"] for key, utterance in prompts.items())
