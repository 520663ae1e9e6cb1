"""PocketSphinx with the English model of its package."""

from __future__ import annotations

import numpy as np

from codecbench.contracts.recognizer import Transcript


class PocketSphinxRecognizer:
    """Transcribes each utterance by itself.

    The package carries its live cepstral mean and its estimate of the noise over from one utterance to the next, so
    that the text would depend on the order; here both are those of the utterance. Silence is decoded like anything
    else.
    Source: Huggins-Daines et al., "PocketSphinx", ICASSP 2006.
    """

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(samprate=16000.0, cmn="batch", loglevel="FATAL")

    def transcribe(self, audio: np.ndarray, language: str | None) -> Transcript:
        """Transcribe float32 [T] at 16 kHz, clipped to 16 bit; no samples give no text."""
        if audio.size == 0:
            return Transcript("", "en")
        pcm = np.clip(np.round(audio * 32767.0), -32768, 32767).astype("<i2")
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        finally:
            self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return Transcript(hypothesis.hypstr if hypothesis else "", "en")
