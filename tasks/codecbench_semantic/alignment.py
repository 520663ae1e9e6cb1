"""Phones in time, from text and audio, by PocketSphinx: made once for each utterance and kept."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codecbench.audio.reading import read_audio
from codecbench.audio.resample import resample
from codecbench.cache import cache_folder
from codecbench.contracts.audio import Utterance
from codecbench.errors import BadInput
from codecbench.hashing import digest, file_sha256

RATE_HZ = 16000
FRAMES_PER_S = 100
# The package's own beams, then wide ones: either finds a path where the other ends without.
BEAMS = ((1e-48, 7e-29), (1e-100, 1e-80))
SILENCES = frozenset({"SIL", "+NSN+", "+SPN+", "<sil>"})


@dataclass(frozen=True)
class Phone:
    """One phone (ARPAbet without stress) from ``start_s`` to ``end_s``."""

    name: str
    start_s: float
    end_s: float

    @property
    def is_silence(self) -> bool:
        """Whether nothing is said."""
        return self.name in SILENCES


@dataclass(frozen=True)
class Alignment:
    """The phones of an utterance in time, or why there are none."""

    phones: tuple[Phone, ...] = ()
    problem: str = ""


class PhoneAligner:
    """Forced alignment with the English model of PocketSphinx' package, kept under the cache folder.

    Source: Huggins-Daines et al., "PocketSphinx", ICASSP 2006. Words are aligned first, phones within them then; an
    utterance with a word that the dictionary (CMUdict) lacks is not aligned.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.name = tool_name()
        self._folder = folder or cache_folder() / "alignments" / self.name
        self._decoders: dict[int, Any] = {}

    def align(self, utterance: Utterance) -> Alignment:
        """Return the alignment of an utterance, from the cache where it has been made before."""
        if not utterance.text or (utterance.language or "en").split("-")[0] != "en":
            return Alignment(problem="no English text")
        try:
            path = self._folder / f"{digest([file_sha256(utterance.audio), utterance.text])}.json"
            if path.is_file():
                return _load(path)
            audio, rate_hz = read_audio(utterance)
        except (OSError, BadInput) as error:
            return Alignment(problem=str(error))
        found = self.align_audio(resample(audio, rate_hz, RATE_HZ), utterance.text)
        _save(path, found)
        return found

    def align_audio(self, audio: np.ndarray, text: str) -> Alignment:
        """Align ``text`` with ``audio``, float32 [T] at 16 kHz."""
        words = re.findall(r"[a-z0-9']+", text.lower().replace("’", "'"))
        unknown = [word for word in words if self._decoder(0).lookup_word(word) is None]
        if unknown or not words:
            return Alignment(problem=f"not in the dictionary: {' '.join(unknown)}" if unknown else "no words")
        pcm = np.clip(np.round(audio * 32767.0), -32768, 32767).astype("<i2").tobytes()
        for attempt in range(len(BEAMS)):
            phones = self._attempt(attempt, pcm, " ".join(words))
            if phones:
                return Alignment(phones)
        return Alignment(problem="the text cannot be aligned with the audio")

    def _attempt(self, attempt: int, pcm: bytes, text: str) -> tuple[Phone, ...]:
        decoder = self._decoder(attempt)
        try:
            decoder.set_align_text(text)
            _process(decoder, pcm)
            if decoder.hyp() is None:
                return ()
            decoder.set_alignment()
            _process(decoder, pcm)
            found = decoder.get_alignment()
        except RuntimeError:  # no path to the end: the decoder is not to be used again
            del self._decoders[attempt]
            return ()
        return tuple(
            Phone(p.name, p.start / FRAMES_PER_S, (p.start + p.duration) / FRAMES_PER_S) for word in found for p in word
        )

    def _decoder(self, attempt: int) -> Any:
        if attempt not in self._decoders:
            from pocketsphinx import Decoder

            beam, word_beam = BEAMS[attempt]
            settings = {"samprate": 16000.0, "cmn": "batch", "loglevel": "FATAL", "lm": None}
            self._decoders[attempt] = Decoder(beam=beam, pbeam=beam, wbeam=word_beam, **settings)
        return self._decoders[attempt]


def tool_name() -> str:
    """Return what alignments are made with, for records and identities."""
    from importlib import metadata

    return f"pocketsphinx-{metadata.version('pocketsphinx')}-noise-of-each-utterance"


def _process(decoder: Any, pcm: bytes) -> None:
    decoder.reinit_feat()  # the estimate of the noise would be that of whatever was aligned before
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _load(path: Path) -> Alignment:
    facts = json.loads(path.read_text("utf-8"))
    return Alignment(tuple(Phone(*row) for row in facts["phones"]), facts["problem"])


def _save(path: Path, found: Alignment) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"phones": [(p.name, p.start_s, p.end_s) for p in found.phones], "problem": found.problem}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(facts), "utf-8")
    part.replace(path)
