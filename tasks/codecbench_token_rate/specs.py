"""The metrics of this task as data."""

from __future__ import annotations

from codecbench.contracts.codec import OptionSpec
from codecbench.contracts.metric import Direction, MetricRole, MetricSpec, Reducer, ScorerSpec, Stage

RATES = ScorerSpec(
    "rates",
    (
        MetricSpec(
            "frame_rate_hz",
            "Frame rate",
            Direction.LOWER,
            unit="Hz",
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            role=MetricRole.OTHER,
            description="Frames of each stream over real duration.",
        ),
        MetricSpec(
            "token_rate",
            "Token rate",
            Direction.LOWER,
            unit="tokens/s",
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            headline=True,
            decimals=1,
            role=MetricRole.TOKEN_RATE,
            description="Codes of all codebooks over real duration.",
        ),
        MetricSpec(
            "bitrate_bps",
            "Bit rate",
            Direction.LOWER,
            unit="bit/s",
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            headline=True,
            decimals=0,
            role=MetricRole.BITRATE,
            description="Real bits (fixed length per code, side information, or coded bytes) over real duration.",
        ),
        MetricSpec(
            "tokens_per_word",
            "Tokens per word",
            Direction.LOWER,
            unit="tokens/word",
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            decimals=1,
            role=MetricRole.OTHER,
            description="Codes of all codebooks over the words of the text.",
        ),
    ),
    stage=Stage.TOKENS,
    cost=0.0001,
)

TEXT_TOKENS = ScorerSpec(
    "text_tokens",
    (
        MetricSpec(
            "tokens_per_text_token",
            "Tokens per text token",
            Direction.LOWER,
            unit="tokens/token",
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            decimals=1,
            role=MetricRole.OTHER,
            description="Codes of all codebooks over the tokens that a text tokenizer makes of the text.",
        ),
    ),
    stage=Stage.TOKENS,
    options=(OptionSpec("tokenizer", "a tokenizer.json; default: that of the offline Whisper base", type="Path"),),
    requirements=("tokenizers",),
    cost=0.0001,
)

_MILLER = "plug-in entropy with the bias correction of Miller, 1955"

CODEBOOKS = ScorerSpec(
    "codebooks",
    (
        MetricSpec(
            "nominal_bitrate_bps",
            "Nominal bit rate",
            Direction.LOWER,
            unit="bit/s",
            bounds=(0.0, None),
            reducer=Reducer.CORPUS,
            decimals=0,
            role=MetricRole.OTHER,
            description="Bit rate that the codec declares.",
        ),
        MetricSpec(
            "codebook_utilisation",
            "Codebook utilisation",
            Direction.HIGHER,
            bounds=(0.0, 1.0),
            reducer=Reducer.CORPUS,
            decimals=3,
            role=MetricRole.CODEBOOK_USE,
            description="Share of a codebook's entries that occur; grows with the number of frames, kept beside it.",
        ),
        MetricSpec(
            "codebook_entropy_bits",
            "Codebook entropy",
            Direction.HIGHER,
            unit="bit",
            bounds=(0.0, None),
            reducer=Reducer.CORPUS,
            role=MetricRole.CODEBOOK_ENTROPY,
            description="Entropy of a codebook's entries, each frame alone.",
            source=_MILLER,
        ),
        MetricSpec(
            "codebook_perplexity",
            "Codebook perplexity",
            Direction.HIGHER,
            bounds=(1.0, None),
            reducer=Reducer.CORPUS,
            decimals=0,
            role=MetricRole.OTHER,
            description="2 to the codebook entropy.",
            source=_MILLER,
        ),
        MetricSpec(
            "entropy_bitrate_bps",
            "Entropy bit rate",
            Direction.LOWER,
            unit="bit/s",
            bounds=(0.0, None),
            reducer=Reducer.CORPUS,
            decimals=0,
            role=MetricRole.ENTROPY_BITRATE,
            description="Codebook entropies times frames over duration: the cost under an ideal coder of single codes.",
            source=_MILLER,
        ),
    ),
    stage=Stage.CORPUS,
    cost=0.0001,
)
