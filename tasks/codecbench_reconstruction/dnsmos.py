"""DNSMOS of the output alone: P.808, and the eighteen times dearer P.835."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from codecbench.contracts.metric import Measurement, ScoreItem
from codecbench_reconstruction.models import checked_output
from codecbench_reconstruction.pairs import NoValue, no_values
from codecbench_reconstruction.specs import SAMPLE_RATE_HZ

WINDOW_S = 9.01
WINDOW_SAMPLES = int(WINDOW_S * SAMPLE_RATE_HZ)


def windows(audio: np.ndarray) -> Iterator[np.ndarray]:
    """Yield windows of 9.01 s, 1 s apart, of ``audio`` [T]; shorter audio is repeated until it fills one.

    Source: the script published with DNSMOS, as the package speechmos carries it.
    """
    while len(audio) < WINDOW_SAMPLES:
        audio = np.append(audio, audio)
    count = int(len(audio) // SAMPLE_RATE_HZ - WINDOW_S) + 1  # leaves out a last window that would fit: as published
    for start in range(0, count * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ):
        yield audio[start : start + WINDOW_SAMPLES].astype(np.float32)


class _DnsMosScorer:
    """One of the two models over all windows of the output, clipped to ±1 as a file would be."""

    model_file: str
    metrics: tuple[str, ...]

    def __init__(self) -> None:
        self._package, self._session = _load(self.model_file)

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return the mean prediction over the windows."""
        try:
            output = checked_output(item)
        except NoValue as none:
            return no_values(self.metrics, none)
        clipped = int(np.count_nonzero(np.abs(output) > 1.0))
        detail = json.dumps({"clipped_samples": clipped}) if clipped else ""
        found = np.mean([self._predict(window) for window in windows(np.clip(output, -1.0, 1.0))], axis=0)
        return [Measurement(name, float(v), detail=detail) for name, v in zip(self.metrics, found, strict=True)]

    def _predict(self, window: np.ndarray) -> Sequence[float]:
        raise NotImplementedError


class P808Scorer(_DnsMosScorer):
    """DNSMOS P.808. Source: Reddy et al., "DNSMOS", ICASSP 2021 (package speechmos)."""

    model_file = "model_v8.onnx"
    metrics = ("dnsmos_p808",)

    def _predict(self, window: np.ndarray) -> Sequence[float]:
        features = self._package.audio_melspec(audio=window[:-160]).astype(np.float32)
        return [float(self._session.run(None, {"input_1": features[None]})[0][0][0])]


class P835Scorer(_DnsMosScorer):
    """DNSMOS P.835. Source: Reddy et al., "DNSMOS P.835", ICASSP 2022 (package speechmos)."""

    model_file = "sig_bak_ovr.onnx"
    metrics = ("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak")

    def _predict(self, window: np.ndarray) -> Sequence[float]:
        raw = self._session.run(None, {"input_1": window[None]})[0][0]
        signal, background, overall = self._package.get_polyfit_val(*raw, False)
        return [float(overall), float(signal), float(background)]


def _load(model_file: str) -> tuple[Any, Any]:
    """Return the package's object, for its features and polynomials, and a session of one thread."""
    from pathlib import Path

    import onnxruntime
    import speechmos
    from speechmos.dnsmos import DNSMOS

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = Path(speechmos.__file__).parent / "dnsmos_models" / model_file
    # Its constructor would load both models on all cores.
    return object.__new__(DNSMOS), onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
