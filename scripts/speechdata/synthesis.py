"""Synthetic English: sentences of `texts` in the voices of flite, festival and Kokoro."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from .audio import Limits, read_recording, resample, to_int16, trim, why_junk
from .kokoro import KOKORO_SAMPLE_RATE_HZ, Kokoro, phonemize
from .records import SAMPLE_RATE_HZ, FloatSamples, SpeechDataError, Utterance, write_flac
from .texts import english_sentences

# CMU's slt is the same person in flite and in festival: one speaker id.
FLITE_VOICES = {"rms": "cmu-rms", "slt": "cmu-slt", "awb": "cmu-awb", "kal16": "cmu-kal"}
FESTIVAL_VOICE, FESTIVAL_SPEAKER = "cmu_us_slt_arctic_hts", "cmu-slt"
FLITE_LICENCE, FESTIVAL_LICENCE, KOKORO_LICENCE = "BSD-style (flite)", "BSD-style (festvox-us-slt-hts)", "Apache-2.0"
KOKORO_ENGLISH = [
    "af_alloy", "af_aoede", "af_bella", "af_heart", "af_jessica", "af_kore", "af_nicole", "af_nova",
    "af_river", "af_sarah", "af_sky", "am_adam", "am_echo", "am_eric", "am_fenrir", "am_liam", "am_michael",
    "am_onyx", "am_puck", "bf_alice", "bf_emma", "bf_isabella", "bf_lily", "bm_daniel", "bm_fable",
    "bm_george", "bm_lewis",
]  # fmt: skip
# Voices trained on other languages: English with an accent, more voices.
KOKORO_ACCENTED = [
    "ef_dora", "em_alex", "ff_siwis", "hf_alpha", "hf_beta", "hm_omega", "hm_psi", "if_sara", "im_nicola",
    "jf_alpha", "jf_gongitsune", "jm_kumo", "pf_dora", "pm_alex", "zf_xiaobei", "zf_xiaoni", "zf_xiaoxiao",
    "zf_xiaoyi", "zm_yunjian", "zm_yunxi", "zm_yunyang",
]  # fmt: skip

Renderer = Callable[[str, random.Random], FloatSamples]
#: What the next utterance says.
TextSource = Callable[[random.Random], str]


@dataclasses.dataclass(frozen=True)
class Voice:
    """One synthetic speaker: its id, and what turns a text into (T,) float32 speech at 16,000 Hz."""

    speaker: str
    licence: str
    source: str
    render: Renderer


def flite_voices(names: Iterable[str] = FLITE_VOICES) -> list[Voice]:
    """The voices of Debian's flite, or those of them that are named."""
    return [
        Voice(FLITE_VOICES[name], FLITE_LICENCE, f"synthetic: flite {name}", functools.partial(_flite, voice=name))
        for name in names
    ]


def festival_voices() -> list[Voice]:
    """The HTS voice of Debian's festival."""
    source = f"synthetic: festival {FESTIVAL_VOICE}"
    return [Voice(FESTIVAL_SPEAKER, FESTIVAL_LICENCE, source, _festival)]


def kokoro_voices(engine: Kokoro, seed: int) -> list[Voice]:
    """Kokoro's voices, and as many even mixtures of two English ones, in a fixed random order."""
    rng = random.Random(seed)
    pairs = [p for p in itertools.combinations(KOKORO_ENGLISH, 2) if p[0][0] == p[1][0]]
    recipes = [(n,) for n in (*KOKORO_ENGLISH, *KOKORO_ACCENTED)] + rng.sample(pairs, len(KOKORO_ENGLISH))
    rng.shuffle(recipes)
    return [_kokoro_voice(engine, names) for names in recipes]


def _kokoro_voice(engine: Kokoro, names: Sequence[str]) -> Voice:
    style = np.asarray(np.mean([engine.voice(name) for name in names], axis=0), dtype=np.float32)
    british = names[0].startswith("b")

    def render(text: str, rng: random.Random) -> FloatSamples:
        speech = engine.synthesize(phonemize(text, british), style, speed=rng.uniform(0.85, 1.2))
        return resample(speech, KOKORO_SAMPLE_RATE_HZ)

    label = "+".join(names)
    return Voice(f"kokoro-{label}", KOKORO_LICENCE, f"synthetic: Kokoro-82M int8, voice {label}", render)


def english_texts(engine: str) -> TextSource:
    """One or two sentences of varied English an utterance, others for every engine."""
    sentences = english_sentences(seed=int(hashlib.sha256(engine.encode()).hexdigest()[:8], 16))
    return lambda rng: " ".join(itertools.islice(sentences, rng.choice((1, 1, 2))))


def synthesize(
    voices: Sequence[Voice], engine: str, text_of: TextSource, folder: Path, seconds: float, limits: Limits
) -> Iterator[Utterance]:
    """Speak texts in turn over the voices until `seconds` of audio are there; yields the utterances kept.

    A file that is there already is taken as it is, so a stopped run goes on where it stopped; the text and the
    voice of every utterance follow from its number alone.
    """
    done = 0.0
    for number in itertools.count():
        if done >= seconds:
            return
        rng = random.Random(f"{engine}-{number}")
        utterance = _one(voices[number % len(voices)], f"{engine}-{number:05d}", text_of(rng), rng, folder, limits)
        if utterance is not None:
            done += utterance.seconds
            yield utterance


def _one(
    voice: Voice, utterance_id: str, text: str, rng: random.Random, folder: Path, limits: Limits
) -> Utterance | None:
    path = folder / f"{utterance_id}.flac"
    if path.is_file():
        digest, length = hashlib.sha256(path.read_bytes()).hexdigest(), soundfile.info(path).frames
    else:
        samples = trim(voice.render(text, rng))
        if why_junk(samples, limits):
            return None
        digest, length = write_flac(path, to_int16(samples)), len(samples)
    return Utterance(
        id=utterance_id,
        audio=f"{folder.name}/{path.name}",
        text=text,
        speaker=voice.speaker,
        language="en",
        seconds=round(length / SAMPLE_RATE_HZ, 3),
        sha256=digest,
        licence=voice.licence,
        source=voice.source,
    )


def _flite(text: str, _: random.Random, voice: str) -> FloatSamples:
    return _command(["flite", "-voice", voice, "-t", text, "-o"], package="flite")


def _festival(text: str, _: random.Random) -> FloatSamples:
    command = ["text2wave", "-eval", f"(voice_{FESTIVAL_VOICE})", "-o"]
    return _command(command, package="festival festvox-us-slt-hts", standard_input=text)


def _command(command: list[str], package: str, standard_input: str | None = None) -> FloatSamples:
    if shutil.which(command[0]) is None:
        raise SpeechDataError(f"The command `{command[0]}` is missing. Install it with: apt-get install {package}")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "speech.wav"
        subprocess.run([*command, str(target)], check=True, input=standard_input, text=True, capture_output=True)
        return read_recording(target)
