"""WER, CER and dWER: hand-counted cases, empty cases, languages, and statuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from task_testing import by_name, item, record

import codecbench_intelligibility
from codecbench import CodecSpec, CodecView, RecognizerSpec, Reducer, ScorerContext, Status, Transcript, UsageError
from codecbench.plugins import PluginHost
from codecbench_intelligibility.dwer import DifferentialScorer
from codecbench_intelligibility.normalizers import normalizer_for
from codecbench_intelligibility.scorer import WordErrorScorer

AUDIO = np.full(1600, 0.1, np.float32)


class Dictated:
    """Writes what it is told, and remembers what it was given."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.heard: list[tuple[int, str | None]] = []

    def transcribe(self, audio: np.ndarray, language: str | None) -> Transcript:
        self.heard.append((len(audio), language))
        return Transcript(self.text, language)


def _scorer(says: str, languages: tuple[str, ...] = (), **options: str) -> WordErrorScorer:
    spec = RecognizerSpec("dictated", "says what it is told", languages=languages)
    return WordErrorScorer(ScorerContext(options, Dictated(says), "dictated", spec))


@pytest.mark.parametrize(
    ("text", "hypothesis", "substitutions", "deletions", "insertions", "words"),
    [
        ("the cat sat on the mat", "the cat sat on the mat", 0, 0, 0, 6),
        ("the cat sat on the mat", "the bat sat on mat", 1, 1, 0, 6),
        ("the cat sat", "oh the cat sat down", 0, 0, 2, 3),
        ("Hello, World!", "hello world", 0, 0, 0, 2),
        ("I've got twenty-one colours.", "I have got 21 colors", 0, 0, 0, 5),
        ("one two three", "", 0, 1, 0, 1),
        ("never", "this is much longer than that", 1, 0, 5, 1),
    ],
)
def test_hand_counted_word_errors(
    text: str, hypothesis: str, substitutions: int, deletions: int, insertions: int, words: int
) -> None:
    wer = by_name(_scorer(hypothesis).score(item(AUDIO, AUDIO, text=text)))["wer"]
    detail = json.loads(wer.detail)
    assert (detail["substitutions"], detail["deletions"], detail["insertions"]) == (
        substitutions,
        deletions,
        insertions,
    )
    assert (wer.numerator, wer.denominator) == (substitutions + deletions + insertions, words)
    assert wer.value == pytest.approx(100 * wer.numerator / words)
    assert wer.component == "dictated"


def test_hand_counted_character_errors_count_spaces() -> None:
    cer = by_name(_scorer("a bad cot").score(item(AUDIO, AUDIO, text="a bad cat sat")))["cer"]
    assert (cer.numerator, cer.denominator) == (5, 13)  # one substitution, " sat" deleted


@pytest.mark.parametrize("output", [np.zeros(0, np.float32), None, np.zeros(1600, np.float32)])
def test_empty_and_silent_output_is_scored_as_deletions(output: np.ndarray | None) -> None:
    wer = by_name(_scorer("").score(item(AUDIO, output, text="three words here")))["wer"]
    assert (wer.status, wer.value, wer.numerator) == (Status.OK, 100.0, 3)


@pytest.mark.parametrize("text", [None, "", "  ", "[noise]", "..."])
def test_no_text_is_a_status_and_keeps_the_hypothesis(text: str | None) -> None:
    for measured in _scorer("Hello there").score(item(AUDIO, AUDIO, text=text)):
        assert measured.status is Status.NO_TEXT
        assert json.loads(measured.detail)["hypothesis"] == "hello there"


def test_nan_output_is_not_transcribed() -> None:
    scorer = _scorer("anything")
    assert {m.status for m in scorer.score(item(AUDIO, AUDIO * np.nan, text="words"))} == {Status.NAN_OUTPUT}
    assert scorer._recognizer.heard == []


def test_a_language_that_the_recogniser_lacks_is_unavailable_with_the_reason() -> None:
    for measured in _scorer("x", languages=("en",)).score(item(AUDIO, AUDIO, text="trois mots ici", language="fr-FR")):
        assert measured.status is Status.UNAVAILABLE
        assert "'fr'" in measured.reason


def test_the_region_is_dropped_and_the_option_names_the_language_where_none_is_stated() -> None:
    scorer = _scorer("colour", language="en")
    wer = by_name(scorer.score(item(AUDIO, AUDIO, text="color", language=None)))["wer"]
    assert wer.value == 0.0
    scorer.score(item(AUDIO, AUDIO, text="color", language="en-GB"))
    assert scorer._recognizer.heard == [(1600, "en"), (1600, "en")]


def test_other_languages_use_the_basic_normaliser_and_it_is_named() -> None:
    wer = by_name(_scorer("un été à la mer").score(item(AUDIO, AUDIO, text="Un été, à la mer!", language="fr")))["wer"]
    assert wer.value == 0.0
    assert json.loads(wer.detail)["normalizer"].startswith("whisper-basic/")
    assert normalizer_for("en-US").name.startswith("whisper-english/")
    assert normalizer_for(None).name.startswith("whisper-basic/")


def test_languages_without_word_spaces_have_a_cer_only() -> None:
    found = by_name(_scorer("我们去").score(item(AUDIO, AUDIO, text="我们走", language="zh")))
    assert found["wer"].status is Status.NOT_APPLICABLE
    assert (found["cer"].numerator, found["cer"].denominator) == (1, 3)


@pytest.mark.parametrize("text", ["Mr. Brown's 3,000 dollars aren't here, hmm.", "two thousand and five", "COLOUR me"])
def test_the_english_normaliser_is_whispers(text: str) -> None:
    whisper = pytest.importorskip("whisper.normalizers")
    expected = " ".join(whisper.EnglishTextNormalizer()(text).split())
    assert normalizer_for("en").normalize(text) == expected


def test_without_a_recogniser_the_scorer_cannot_be_made() -> None:
    with pytest.raises(UsageError, match="recogniser"):
        WordErrorScorer(ScorerContext())


def test_error_rates_are_ratios_of_sums() -> None:
    host = PluginHost()
    host.add(codecbench_intelligibility, "under-test")
    metrics = {m.name: m for name in ("wer", "dwer") for m in host.registry.scorers[name].spec.metrics}
    assert {name: m.reducer for name, m in metrics.items()} == dict.fromkeys(("wer", "cer", "dwer"), Reducer.RATIO)


def _wer_record(utterance: str, hypothesis: str | None, status: str = "ok", component: str = "asr") -> object:
    detail = "" if hypothesis is None else json.dumps({"normalizer": "n/1", "reference": "", "hypothesis": hypothesis})
    return record("wer", utterance, component=component, status=status, detail=detail, reason="why")


def _dwer(records: list[object], ceiling: list[object]) -> dict[tuple[str, str], object]:
    view = CodecView("codec", CodecSpec("codec"), records, ceiling, lambda: iter(()))
    return {(m.utterance_id, m.component): m for m in DifferentialScorer().score(view)}


def test_dwer_compares_with_what_was_heard_in_the_original() -> None:
    found = _dwer(
        [_wer_record("a", "the cat sat"), _wer_record("b", "", "no_text"), _wer_record("a", "x", component="other")],
        [_wer_record("a", "the bat sat"), _wer_record("b", "two words"), _wer_record("a", "x", component="other")],
    )
    one, two, other = found["a", "asr"], found["b", "asr"], found["a", "other"]
    assert (one.numerator, one.denominator, one.status) == (1, 3, Status.OK)
    assert (two.numerator, two.denominator) == (2, 2)  # no text needed
    assert other.value == 0.0


def test_dwer_without_a_transcript_says_why() -> None:
    found = _dwer(
        [_wer_record("nan", None, "nan_output"), *(_wer_record(name, "x") for name in ("alone", "mute", "ceil"))],
        [_wer_record("nan", "x"), _wer_record("mute", ""), _wer_record("ceil", None, "unavailable")],
    )
    statuses = {utterance: m.status for (utterance, _), m in found.items()}
    assert statuses == {
        "nan": Status.NAN_OUTPUT,
        "alone": Status.UNAVAILABLE,
        "mute": Status.NO_TEXT,
        "ceil": Status.UNAVAILABLE,
    }
    assert all(m.value is None and m.reason for m in found.values())


def test_dwer_of_the_ceiling_itself_is_zero() -> None:
    records = [_wer_record("a", "some words"), _wer_record("b", "more")]
    assert all(m.value == 0.0 for m in _dwer(records, records).values())
