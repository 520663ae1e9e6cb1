"""The selection of utterances that the package carries as its built-in corpus."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from codecbench_corpora.g722 import decode_g722

from .asterisk import VOICES, Voice, prompt_files, prompt_texts
from .asterisk_en import evaluation_prompts
from .records import SAMPLE_RATE_HZ, Int16Samples, SpeechDataError, Utterance, write_flac

LIBRIVOX_FOLDER = Path("/usr/share/pocketsphinx/test/data/librivox")
LIBRIVOX_PACKAGE = "pocketsphinx-testdata"
_TRANSCRIPT_LINE = re.compile(r"<s> (?P<text>.*) </s> \((?P<id>\S+)\)")

# The package's transcript has "a more a amiable woman"; the second "a" is neither in the book nor heard by
# Whisper base or tiny.en, and pocketsphinx aligns better without it.
_LIBRIVOX_CORRECTION = ("a more a amiable", "a more amiable")

# Said by Whisper base and tiny.en exactly as the text says, of different lengths and matters.
ENGLISH_PROMPTS = [
    "agent-alreadyon",
    "check-number-dial-again",
    "conf-onlyone",
    "conf-roll-callcomplete",
    "confbridge-lock-no-join",
    "confbridge-pin-bad",
    "demo-echodone",
    "demo-nomatch",
    "demo-thanks",
    "dir-instr",
    "feature-not-avail-line",
    "followme/sorry",
    "followme/status",
    "priv-introsaved",
    "privacy-prompt",
    "queue-youarenext",
    "ss-noservice",
    "tt-allbusy",
    "tt-monkeysintro",
    "vm-invalid-password",
    "vm-newuser",
    "vm-msgforwarded",
    "vm-nobox",
    "vm-tmpexists",
]
# Said by Whisper base exactly as the text says.
OTHER_PROMPTS = {
    "fr": ["dir-nomatch", "priv-introsaved", "vm-tempgreetactive"],
    "it": ["conf-invalid", "confbridge-pin", "privacy-unident"],
    "ru": ["speed-dial-empty", "vm-newuser", "vm-starmain"],
}


@dataclasses.dataclass(frozen=True)
class Selected:
    """One chosen utterance with its samples, before it is written."""

    id: str
    samples: Int16Samples
    text: str
    text_note: str | None
    speaker: str
    language: str
    licence: str
    source: str

    def write(self, folder: Path) -> Utterance:
        """Write the FLAC file into `folder` and return its manifest line."""
        audio = f"{self.id}.flac"
        digest = write_flac(folder / audio, self.samples)
        return Utterance(
            id=self.id,
            audio=audio,
            text=self.text,
            speaker=self.speaker,
            language=self.language,
            seconds=round(self.samples.size / SAMPLE_RATE_HZ, 3),
            sha256=digest,
            licence=self.licence,
            source=self.source,
            text_note=self.text_note,
        )


def builtin_selection() -> Iterator[Selected]:
    """Every utterance of the built-in corpus; raises `SpeechDataError` where a package is not installed."""
    yield from _librivox()
    corrected = {p.id: (p.text, p.text_note) for p in evaluation_prompts()}
    yield from _prompts(VOICES["en"], {key: corrected[key] for key in ENGLISH_PROMPTS})
    for language, ids in OTHER_PROMPTS.items():
        texts = prompt_texts(VOICES[language])
        yield from _prompts(VOICES[language], {key: (texts[key], None) for key in ids})


def _prompts(voice: Voice, texts: dict[str, tuple[str, str | None]]) -> Iterator[Selected]:
    files = prompt_files(voice)
    for prompt_id, (text, note) in texts.items():
        yield Selected(
            id=f"asterisk-{voice.language}-{prompt_id.replace('/', '-')}",
            samples=decode_g722(files[prompt_id]),
            text=text,
            text_note=note,
            speaker=voice.speaker,
            language=voice.language,
            licence=voice.licence,
            source=f"Debian {voice.packages[0]}: {voice.folder}/{prompt_id}.g722",
        )


def _librivox(folder: Path = LIBRIVOX_FOLDER) -> Iterator[Selected]:
    transcription = folder / "transcription"
    if not transcription.is_file():
        raise SpeechDataError(
            f"The LibriVox clips are not installed: {transcription} is missing. "
            f"Install them with: apt-get install {LIBRIVOX_PACKAGE}"
        )
    for match in _TRANSCRIPT_LINE.finditer(transcription.read_text(encoding="utf-8")):
        old, new = _LIBRIVOX_CORRECTION
        text = match["text"].replace(old, new)
        yield Selected(
            id=f"librivox-sense-{match['id'].rsplit('-', 1)[1]}",
            samples=_read_wav(folder / f"{match['id']}.wav"),
            text=text,
            text_note=None if text == match["text"] else f"'{old}' is '{new}', as in the book and as spoken",
            speaker="librivox-sense-reader",
            language="en",
            licence="BSD-2-Clause (package); public domain (LibriVox)",
            source=f"Debian {LIBRIVOX_PACKAGE}: test/data/librivox/{match['id']}.wav",
        )


def _read_wav(path: Path) -> Int16Samples:
    samples, rate = soundfile.read(path, dtype="int16")
    if rate != SAMPLE_RATE_HZ or samples.ndim != 1:
        raise SpeechDataError(f"{path}: expected mono at {SAMPLE_RATE_HZ} Hz, received {samples.shape} at {rate} Hz.")
    return np.asarray(samples, dtype=np.int16)
