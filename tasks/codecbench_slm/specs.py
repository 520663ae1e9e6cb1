"""The metrics of speech language models as data."""

from __future__ import annotations

from dataclasses import replace

from codecbench.contracts.metric import Direction, MetricRole, MetricSpec, Reducer, ScorerSpec
from codecbench_intelligibility import PERCENT, WER
from codecbench_reconstruction.model_specs import SPEAKER

_WER, _CER = WER.metrics
_SOURCE = _WER.source


def _errors(name: str, title: str, what: str) -> MetricSpec:
    return MetricSpec(
        name,
        title,
        Direction.LOWER,
        unit="%",
        bounds=(0.0, None),
        reducer=Reducer.RATIO,
        scale=PERCENT,
        description=f"{what}, over the words of the text; a part of TTS WER.",
        source=_SOURCE,
    )


STT_METRICS = (
    replace(
        _WER, name="stt_wer", title="STT WER", description="Word errors of the text that the model writes of speech."
    ),
    replace(
        _CER,
        name="stt_cer",
        title="STT CER",
        description="Character errors of the text that the model writes of speech.",
    ),
    MetricSpec(
        "stt_unfinished",
        "STT unfinished",
        Direction.LOWER,
        unit="%",
        bounds=(0.0, 100.0),
        scale=PERCENT,
        reducer=Reducer.RATIO,
        decimals=1,
        role=MetricRole.OTHER,
        description="Texts that were cut at generation.max_text_tokens.",
    ),
)

RESYNTHESIS_WER = replace(
    _WER,
    name="resynthesis_wer",
    title="Resynthesis WER",
    description="Word errors of a recogniser on the recordings as the codec alone gives them back.",
)

TTS_WORDS = ScorerSpec(
    "slm_tts_words",
    (
        replace(
            _WER,
            name="tts_wer",
            title="TTS WER",
            description="Word errors of a recogniser on generated speech against the text given to the model.",
        ),
        replace(_CER, name="tts_cer", title="TTS CER", description="Character errors of the same."),
        _errors("tts_substitutions", "TTS substitutions", "Words said wrongly"),
        _errors("tts_deletions", "TTS deletions", "Words left out"),
        _errors("tts_insertions", "TTS insertions", "Words put in that repeat nothing"),
        _errors("tts_repetitions", "TTS repetitions", "Words put in by saying a run of up to 8 words again"),
    ),
    needs_recognizer=True,
    options=WER.options,
    requirements=WER.requirements,
    cost=WER.cost,
)

TTS_SPEAKER = ScorerSpec(
    "slm_tts_speaker",
    (
        replace(
            SPEAKER.metrics[0],
            name="tts_speaker_similarity",
            title="TTS speaker similarity",
            ceiling=None,
            description="Cosine of the GE2E embeddings of generated speech and of the recording of the same text, "
            "which may differ in length. Low by design where the model is not told who is to speak.",
        ),
    ),
    requirements=SPEAKER.requirements,
    cost=SPEAKER.cost,
)

TTS_UNFINISHED = MetricSpec(
    "tts_unfinished",
    "TTS unfinished",
    Direction.LOWER,
    unit="%",
    bounds=(0.0, 100.0),
    scale=PERCENT,
    reducer=Reducer.RATIO,
    decimals=1,
    role=MetricRole.OTHER,
    description="Utterances without an end of speech, cut at generation.max_speech_s.",
)

# Scorers of other plugins that hear generated speech alone, where they are registered and can be had.
HEARD_ALONE = ("distillmos", "utmos", "dnsmos_p808")


def of_generated(metric: MetricSpec) -> MetricSpec:
    """A metric of another plugin as it stands in the results: named ``tts_…``, without the ceiling of a codec."""
    return replace(metric, name=f"tts_{metric.name}", title=f"TTS {metric.title}", ceiling=None)
