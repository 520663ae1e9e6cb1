"""Whisper from the offline packages, run by faster-whisper (CTranslate2) on the CPU."""

from __future__ import annotations

import numpy as np

from codecbench.contracts.recognizer import Transcript
from codecbench.errors import Unavailable
from codecbench_whisper.assets import AssetError, offline_whisper


class OfflineRecognizer:
    """Transcribes with int8 weights; the same audio gives the same text at every call and in every process.

    Not on every processor: int8 arithmetic differs between makes (on 38 utterances, AMD against Intel, by up to 1.4
    points of WER), so compare codecs that were scored on one.

    Silence is given to the model like anything else: Whisper's own rule drops a window whose no-speech probability
    is over 0.6 and mean log-probability under -1, and whatever else it writes counts. Beam 5 costs what greedy
    search does, since encoding the 30 s window dominates (1.4 s against 1.4 s of CPU a clip).
    Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022.
    """

    def __init__(self, model: str, beam: int, num_threads: int) -> None:
        """Load the model ``base`` or ``tiny.en``; raises Unavailable where its packages are missing or altered."""
        from faster_whisper import WhisperModel

        try:
            folder = offline_whisper(model).folder
        except AssetError as error:
            raise Unavailable(str(error)) from error
        self._model = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=num_threads, num_workers=1
        )
        self._beam = beam

    def transcribe(self, audio: np.ndarray, language: str | None) -> Transcript:
        """Transcribe float32 [T] at 16 kHz; an unknown ``language`` is detected; no samples give no text."""
        if audio.size == 0:
            return Transcript("", language)
        segments, info = self._model.transcribe(
            np.ascontiguousarray(audio, dtype=np.float32),
            language=language.lower().split("-")[0] if language else None,
            beam_size=self._beam,
            best_of=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            vad_filter=False,
        )
        return Transcript("".join(segment.text for segment in segments).strip(), info.language)
