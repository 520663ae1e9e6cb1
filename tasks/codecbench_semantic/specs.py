"""The metrics of this task as data."""

from __future__ import annotations

from codecbench.contracts.codec import OptionSpec
from codecbench.contracts.metric import Direction, MetricRole, MetricSpec, Reducer, ScorerSpec, Stage

_HUBERT = "Hsu et al., HuBERT, 2021; corrected as Chao & Shen 2003"


def _metric(
    name: str,
    title: str,
    direction: Direction,
    description: str,
    source: str,
    *,
    unit: str = "",
    reducer: Reducer = Reducer.CORPUS,
    scale: float = 1.0,
    least: float = 0.0,
) -> MetricSpec:
    per_cent = unit == "%"
    return MetricSpec(
        name,
        title,
        direction,
        unit=unit,
        bounds=(least, 100.0 if per_cent else 1.0),
        reducer=reducer,
        decimals=1 if per_cent else 3,
        scale=scale,
        role=MetricRole.OTHER,
        description=description,
        source=source,
    )


PHONES = ScorerSpec(
    "phone_codes",
    (
        _metric(
            "pnmi",
            "PNMI",
            Direction.HIGHER,
            "Share of the phones' entropy that a code takes away: I(phone; code) / H(phone) over frames.",
            _HUBERT,
        ),
        _metric(
            "phone_purity",
            "Phone purity",
            Direction.HIGHER,
            "Frames whose phone is the commonest of their code, as observed; grows with the codebook.",
            _HUBERT,
        ),
        _metric(
            "cluster_purity",
            "Cluster purity",
            Direction.HIGHER,
            "Frames whose code is the commonest of their phone, as observed; falls with the codebook.",
            _HUBERT,
        ),
        _metric(
            "phone_accuracy_pct",
            "Phones told by one code",
            Direction.HIGHER,
            "Frames whose phone is the commonest of their code in the other utterances: purity that no codebook gains "
            "by size alone.",
            "held-out phone purity",
            unit="%",
        ),
        _metric(
            "abx_error_pct",
            "ABX error",
            Direction.LOWER,
            "How often a phone's codes are nearer to another phone's than to its own, within speakers; 50 is chance.",
            "Schatz et al. 2013; any context as Hallap et al. 2023; edit distance over the longer length",
            unit="%",
        ),
    ),
    stage=Stage.CORPUS,
    requirements=("pocketsphinx", "rapidfuzz"),
    cost=0.2,
)

SPEAKERS = ScorerSpec(
    "speaker_codes",
    (
        _metric(
            "speaker_probe_pct",
            "Speakers told by the codes",
            Direction.NEUTRAL,
            "Utterances whose speaker a linear probe on the stream's code frequencies tells, cross-validated by "
            "utterance; chance stands in the detail. Where every speaker has a language of his own, it tells that.",
            "linear probe; Hellinger features",
            unit="%",
            reducer=Reducer.RATIO,
            scale=100.0,
        ),
    ),
    stage=Stage.CORPUS,
    requirements=("scikit-learn",),
    cost=0.01,
)

_SNMI = "LM-SPT, appendix B; MinHash over pairs of codes, Jaccard 0.3: the paper's parameters are not published"

SENTENCES = ScorerSpec(
    "sentence_codes",
    (
        _metric(
            "snmi",
            "SNMI",
            Direction.HIGHER,
            "I(sentence; group of alike code sequences) / H(sentence) over sentences read more than once. Reaches 1 "
            "where every reading is a group of its own: to be read beside snmi_adjusted.",
            _SNMI,
        ),
        _metric(
            "snmi_adjusted",
            "SNMI adjusted for chance",
            Direction.HIGHER,
            "The same information as adjusted mutual information: 0 for groups at random or of one reading each.",
            _SNMI + "; Vinh, Epps & Bailey 2010",
            least=-1.0,
        ),
    ),
    stage=Stage.CORPUS,
    requirements=("datasketch", "scikit-learn"),
    cost=0.01,
)

_CTC = "Graves et al. 2006; edits by jiwer"

ASR = ScorerSpec(
    "asr_probe",
    tuple(
        MetricSpec(
            f"asr_probe_{short}",
            f"{short.upper()} of a light recogniser on the codes",
            Direction.LOWER,
            unit="%",
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            decimals=1,
            scale=100.0,
            role=MetricRole.OTHER,
            description=f"{what} wrong when a small CTC model, trained from nothing on four fifths of the corpus' "
            "codes, hears the last fifth. Ranks codecs on one corpus; far above what a recogniser of size reaches.",
            source=_CTC,
        )
        for short, what in (("wer", "Words"), ("cer", "Characters"))
    ),
    stage=Stage.CORPUS,
    options=(
        OptionSpec("steps", "batches of eight utterances to train on", default=600, type="int"),
        OptionSpec("seed", "of the weights and the order of the batches", default=0, type="int"),
    ),
    cost=0.5,
)
