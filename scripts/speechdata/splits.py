"""Who is in training, who in dev, and who is held out: the split is by speaker, never by utterance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from .asterisk import VOICES
from .records import SpeechDataError

DEV_READERS = 20
# The evaluation is on Asterisk English, on the LibriVox clips of the built-in corpus, and on `heldout` of the read
# English; the speakers of the last come from its manifest.
FIXED_HELD_OUT_SPEAKERS = frozenset({VOICES["en"].speaker, "librivox-sense-reader"})
# The reader of the LibriVox clips is not named, and LibriSpeech's readers are LibriVox volunteers too: the two whose
# voices are nearest (Resemblyzer cosine 0.86 and 0.83; other pairs of different readers reach 0.87) stay out as well.
PERHAPS_HELD_OUT_SPEAKERS = frozenset({"ls-2136", "ls-4014"})


def choose_dev_speakers(speakers: Iterable[str], count: int = DEV_READERS) -> frozenset[str]:
    """`count` of the LibriSpeech readers (`ls-*`), by the hash of their id: a choice that no result can influence.

    Raises: `SpeechDataError` where there are not more than `count` readers.
    """
    readers = sorted({s for s in speakers if s.startswith("ls-")}, key=lambda s: hashlib.sha256(s.encode()).hexdigest())
    if len(readers) <= count:
        raise SpeechDataError(f"Only {len(readers)} LibriSpeech readers: expected more than the {count} of dev.")
    return frozenset(readers[:count])


def check_no_overlap(train: Iterable[str], dev: Iterable[str], held_out: Iterable[str]) -> None:
    """Raise `SpeechDataError`, naming them, where a speaker is in two of training, dev and held-out."""
    parts = {"training": set(train), "dev": set(dev), "held-out": set(held_out)}
    for first, second in (("training", "dev"), ("training", "held-out"), ("dev", "held-out")):
        if common := parts[first] & parts[second]:
            raise SpeechDataError(f"Speakers in both {first} and {second} data: {', '.join(sorted(common))}.")
