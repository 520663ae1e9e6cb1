"""The metrics of this task as data."""

from __future__ import annotations

from codecbench.contracts.codec import OptionSpec
from codecbench.contracts.metric import Direction, MetricRole, MetricSpec, Reducer, ScorerSpec, Stage

_KNESER_NEY = "Chen & Goodman 1998, interpolated Kneser-Ney with modified discounts"
_CHAO_SHEN = "Chao & Shen 2003"

NGRAM = ScorerSpec(
    "token_ngram",
    (
        MetricSpec(
            "ngram_bps",
            "N-gram cross-entropy",
            Direction.LOWER,
            unit="bit/s",
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            decimals=0,
            role=MetricRole.OTHER,
            description="Held-out cross-entropy of all codes per second of audio; global tokens and side information "
            "at fixed length. An upper bound on the entropy: small corpora make it too high.",
            source=_KNESER_NEY,
        ),
        MetricSpec(
            "coded_bitrate_bps",
            "Range-coded bit rate",
            Direction.LOWER,
            unit="bit/s",
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            decimals=0,
            role=MetricRole.ENTROPY_BITRATE,
            description="Output of a range coder under the same held-out model, whole 32-bit words per utterance.",
            source="constriction; the model as for ngram_bps",
        ),
        MetricSpec(
            "ngram_bits_per_code",
            "N-gram bits per code",
            Direction.LOWER,
            unit="bit",
            bounds=(0.0, None),
            reducer=Reducer.CORPUS,
            role=MetricRole.OTHER,
            description="Held-out cross-entropy of one codebook, given the codebook below and its own past.",
            source=_KNESER_NEY,
        ),
        MetricSpec(
            "ngram_half_data_pct",
            "Cross-entropy lost with half the data",
            Direction.NEUTRAL,
            unit="%",
            reducer=Reducer.CORPUS,
            decimals=1,
            role=MetricRole.OTHER,
            description="By how much the cross-entropy rises when the models see half as much: what more data would "
            "still bring. Near 0 the figure has converged.",
        ),
    ),
    stage=Stage.CORPUS,
    options=(
        OptionSpec("max_order", "codes in the longest n-gram, the predicted one included", default=4, type="int"),
        OptionSpec("decode_codes", "codes of the corpus that are decoded again as proof", default=100_000, type="int"),
    ),
    requirements=("constriction",),
    cost=0.01,
)

STRUCTURE = ScorerSpec(
    "token_structure",
    (
        MetricSpec(
            "conditional_entropy_bits",
            "Entropy given the frame before",
            Direction.NEUTRAL,
            unit="bit",
            bounds=(0.0, None),
            reducer=Reducer.CORPUS,
            role=MetricRole.OTHER,
            description="Entropy of a codebook given its code in the frame before; beside it in the detail that of "
            "the code alone.",
            source=_CHAO_SHEN,
        ),
        MetricSpec(
            "temporal_information_bits",
            "Information from the frame before",
            Direction.NEUTRAL,
            unit="bit",
            bounds=(0.0, None),
            reducer=Reducer.CORPUS,
            role=MetricRole.OTHER,
            description="Mutual information of successive codes of a codebook.",
            source=_CHAO_SHEN,
        ),
        MetricSpec(
            "codebook_information_bits",
            "Information between codebooks",
            Direction.NEUTRAL,
            unit="bit",
            bounds=(0.0, None),
            reducer=Reducer.CORPUS,
            role=MetricRole.OTHER,
            description="Mutual information of a codebook and the one below in the same frame: what residual "
            "quantisation left to say twice.",
            source=_CHAO_SHEN,
        ),
        MetricSpec(
            "type_growth",
            "Growth of different pairs",
            Direction.NEUTRAL,
            bounds=(0.0, 1.0),
            reducer=Reducer.CORPUS,
            role=MetricRole.OTHER,
            description="Heaps' exponent of pairs of successive codes over the last tenfold growth of the corpus; 1 "
            "where every pair is new.",
            source="Heaps 1978; Hurlbert 1971 (rarefaction)",
        ),
    ),
    stage=Stage.CORPUS,
    cost=0.001,
)

MERGES = ScorerSpec(
    "token_merges",
    (
        MetricSpec(
            "bpe_token_rate",
            "Token rate after BPE",
            Direction.LOWER,
            unit="tokens/s",
            bounds=(0.0, None),
            reducer=Reducer.CORPUS,
            decimals=1,
            role=MetricRole.OTHER,
            description="Tokens per second of a stream's first codebook on held-out utterances after byte-pair merges "
            "learnt on the others; the curve over merges in the detail.",
            source="Sennrich et al. 2016; Shen et al. 2024",
        ),
        MetricSpec(
            "bpe_compression",
            "BPE compression",
            Direction.HIGHER,
            bounds=(1.0, None),
            reducer=Reducer.CORPUS,
            role=MetricRole.OTHER,
            description="Codes for each token after the same merges.",
            source="Sennrich et al. 2016; Shen et al. 2024",
        ),
    ),
    stage=Stage.CORPUS,
    options=(OptionSpec("merges", "merges to learn at most", default=1024, type="int"),),
    requirements=("tokenizers",),
    cost=0.001,
)
