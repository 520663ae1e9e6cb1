"""The metrics of this task as data: direction, bounds, unit, ceiling and source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata

from codecbench.contracts.metric import Direction, MetricRole, MetricSpec, ScorerSpec

SAMPLE_RATE_HZ = 16000
SI_SDR_LIMIT_DB = 100.0


def versions(*distributions: str) -> dict[str, str]:
    """Return the installed version of each distribution: a part of the identity of the values made with it."""
    return {name: metadata.version(name) for name in distributions}


def aligned(spec: MetricSpec) -> MetricSpec:
    """Return the delay-aligned twin of a metric: the same value after the measured delay is undone."""
    return replace(
        spec,
        name=f"{spec.name}_aligned",
        title=f"{spec.title} (aligned)",
        headline=False,
        description=f"{spec.description} The output is first moved by its measured delay.",
    )


def _with_aligned(*specs: MetricSpec) -> tuple[MetricSpec, ...]:
    def both() -> Iterator[MetricSpec]:
        for spec in specs:
            yield spec
            yield aligned(spec)

    return tuple(both())


PESQ = ScorerSpec(
    "pesq",
    _with_aligned(
        MetricSpec(
            "pesq_wb",
            "PESQ-WB",
            Direction.HIGHER,
            unit="MOS-LQO",
            bounds=(0.999, 4.65),
            headline=True,
            ceiling=4.64,
            description="Wide-band PESQ at 16 kHz.",
            source="ITU-T P.862.2 (package pesq)",
        ),
        MetricSpec(
            "pesq_nb",
            "PESQ-NB",
            Direction.HIGHER,
            unit="MOS-LQO",
            bounds=(0.999, 4.55),
            ceiling=4.54,
            description="Narrow-band PESQ (telephone-band filter) of the 16 kHz signals.",
            source="ITU-T P.862 and P.862.1 (package pesq)",
        ),
    ),
    cost=0.04,
)

STOI = ScorerSpec(
    "stoi",
    _with_aligned(
        MetricSpec(
            "stoi",
            "STOI",
            Direction.HIGHER,
            bounds=(-1.0, 1.0),
            headline=True,
            ceiling=0.9999,
            decimals=3,
            description="Short-time objective intelligibility.",
            source="Taal et al., IEEE TASLP 2011 (package pystoi)",
        ),
        MetricSpec(
            "estoi",
            "ESTOI",
            Direction.HIGHER,
            bounds=(-1.0, 1.0),
            ceiling=0.9999,
            decimals=3,
            description="Extended short-time objective intelligibility.",
            source="Jensen & Taal, IEEE/ACM TASLP 2016 (package pystoi)",
        ),
    ),
    cost=0.04,
)

WAVEFORM = ScorerSpec(
    "waveform",
    (
        *_with_aligned(
            MetricSpec(
                "si_sdr",
                "SI-SDR",
                Direction.HIGHER,
                unit="dB",
                bounds=(-SI_SDR_LIMIT_DB, SI_SDR_LIMIT_DB),
                ceiling=SI_SDR_LIMIT_DB,
                decimals=1,
                description="Scale-invariant signal-to-distortion ratio; ±100 dB stands for anything beyond (a copy).",
                source="Le Roux et al., 'SDR - half-baked or well done?', ICASSP 2019",
            ),
            MetricSpec(
                "mel_distance",
                "Mel distance",
                Direction.LOWER,
                unit="nepers",
                bounds=(0.0, None),
                ceiling=0.0,
                decimals=3,
                description="Mean absolute difference of the natural log of 80-band mel magnitude spectra.",
                source="mel-spectrogram L1 of Kong et al., HiFi-GAN, NeurIPS 2020",
            ),
            MetricSpec(
                "mrstft_distance",
                "MR-STFT distance",
                Direction.LOWER,
                bounds=(0.0, None),
                ceiling=0.0,
                decimals=3,
                description="Spectral convergence plus log-magnitude L1, mean over FFT sizes 512, 1024, 2048.",
                source="Yamamoto et al., Parallel WaveGAN, ICASSP 2020",
            ),
        ),
        MetricSpec(
            "delay_ms",
            "Delay",
            Direction.NEUTRAL,
            unit="ms",
            bounds=(-250.0, 250.0),
            ceiling=0.0,
            decimals=1,
            role=MetricRole.DELAY,
            description="By how much the output lags the reference; negative: leads.",
            source="generalised cross-correlation, Knapp & Carter, 1976",
        ),
        MetricSpec(
            "level_db",
            "Level difference",
            Direction.NEUTRAL,
            unit="dB",
            ceiling=0.0,
            decimals=1,
            role=MetricRole.LEVEL,
            description="RMS level of the output over that of the reference.",
        ),
    ),
    cost=0.01,
)
