"""What stands in the run folder of an evaluation beside its figures: records, metrics, codecs, settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from codecbench.contracts.audio import Utterance
from codecbench.contracts.codec import Role
from codecbench.contracts.metric import Measurement, MetricSpec, Record
from codecbench.hardware import describe_hardware, versions
from codecbench.hashing import digest
from codecbench.loading import PreparedCodec
from codecbench.options import parse_settings
from codecbench.runinfo import CodecInfo, CorpusInfo, MetricInfo, RunInfo
from codecbench.runner.scoring import PreparedScorer, prepare_recognizer
from codecbench_slm import TASK
from codecbench_slm.config import SlmConfig
from codecbench_slm.corpus import seconds_of
from codecbench_slm.encoding import Workplace
from codecbench_slm.specs import RESYNTHESIS_WER, STT_METRICS, TTS_UNFINISHED, of_generated

CEILING = "identity"
_RATES = ("token_rate", "bitrate_bps")


def metrics_of(scorers: Sequence[PreparedScorer]) -> dict[str, MetricSpec]:
    """Every metric of the results by name, in the order of the tables."""
    from codecbench_token_rate.specs import RATES

    rates = [metric for metric in RATES.metrics if metric.name in _RATES]
    spoken = [m if m.name.startswith("tts_") else of_generated(m) for scorer in scorers for m in scorer.spec.metrics]
    return {metric.name: metric for metric in (*rates, *STT_METRICS, RESYNTHESIS_WER, *spoken, TTS_UNFINISHED)}


def make_record(label: str, utterance: Utterance, m: Measurement, metric: MetricSpec) -> Record:
    """Put a measurement under the names of the run."""
    return Record(
        key=digest([label, utterance.id, m.metric, m.component, m.detail, m.value]),
        codec=label,
        scorer=TASK,
        metric=m.metric,
        metric_version=metric.version,
        component=m.component,
        utterance_id=utterance.id,
        speaker=utterance.speaker or "",
        language=utterance.language or "",
        duration_s=seconds_of(utterance),
        value=m.value,
        numerator=m.numerator,
        denominator=m.denominator,
        status=str(m.status),
        reason=m.reason,
        detail=m.detail,
    )


def codec_info(prepared: PreparedCodec, label: str, notes: tuple[str, ...] = ()) -> CodecInfo:
    """What is known of one row."""
    return CodecInfo(
        label=label,
        role=str(Role.CEILING if label == CEILING else prepared.spec.role),
        spec=json.loads(json.dumps(asdict(prepared.spec), default=str)),
        options={name: str(value) for name, value in prepared.options.items() if value is not None},
        identity=dict(prepared.decode_identity),
        notes=notes,
    )


def run_info(
    place: Workplace,
    name: str,
    command: tuple[str, ...],
    test: Sequence[Utterance],
    codecs: Sequence[CodecInfo],
    metrics: Mapping[str, MetricSpec],
    scorers: Sequence[PreparedScorer],
    settings: Sequence[str],
    config: SlmConfig,
) -> RunInfo:
    """What a reader needs to judge and repeat the evaluation; ``config`` is that of the first model."""
    from codecbench import __version__

    used = dict.fromkeys(s.ref.recognizer for s in scorers if s.ref.recognizer)
    given = parse_settings(settings)
    recognizers = {name: prepare_recognizer(place.host.registry, name, given) for name in used}
    return RunInfo(
        name=name,
        command=command,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        codecbench_version=__version__,
        corpus=_corpus_info(test),
        codecs=tuple(codecs),
        metrics=tuple(_metric_info(metric) for metric in metrics.values()),
        tasks=(TASK,),
        recognizers={n: {"family": r.entry.spec.family, **dict(r.identity)} for n, r in recognizers.items()},
        hardware=describe_hardware(place.device),
        versions=versions(),
        settings={TASK: {key: json.dumps(value) for key, value in asdict(config).items()}},
        complete=True,
    )


def _corpus_info(test: Sequence[Utterance]) -> CorpusInfo:
    return CorpusInfo(
        name=f"slm-test-{digest([u.id for u in test])[:8]}",
        num_utterances=len(test),
        duration_s=round(sum(map(seconds_of, test)), 3),
        num_speakers=len({u.speaker for u in test if u.speaker}),
        languages=tuple(sorted({u.language for u in test if u.language})),
        notes=("Speech language models trained on each codec's tokens; identity: the recogniser on the recordings.",),
    )


def _metric_info(metric: MetricSpec) -> MetricInfo:
    known: dict[str, Any] = {
        name: value for name, value in vars(metric).items() if name in MetricInfo.__dataclass_fields__
    }
    known |= {"direction": str(metric.direction), "reducer": str(metric.reducer), "role": str(metric.role)}
    return MetricInfo(**known, scorer=TASK, stage="corpus")
