"""English sentences to be spoken by synthetic voices: our own, by a small grammar, and from the public domain."""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import random
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .records import SpeechDataError

STATE_PAPERS = [Path("/usr/share/state/us-declaration.gz"), Path("/usr/share/state/us-constitution.gz")]
STATE_PAPERS_PACKAGE = "miscfiles"
BIBLE_PACKAGES = ["bible-kjv", "bible-kjv-text"]
# Books with short, self-contained verses and few names.
BIBLE_PASSAGES = [
    "prov1:1-prov31:31",
    "eccl1:1-eccl12:14",
    "psalm1:1-psalm150:6",
    "matt5:1-matt25:46",
    "ruth1:1-ruth4:12",
]
MIN_CHARACTERS, MAX_CHARACTERS = 25, 170

GRAMMAR_FILE = Path(__file__).with_name("grammar.toml")
MATRIX_FILE = Path(__file__).with_name("matrix.toml")
_SLOT = re.compile(r"\{([A-Za-z]+?)(\d?)\}")


@dataclasses.dataclass(frozen=True)
class Grammar:
    """Sentence patterns with slots, and the words of every kind of slot."""

    patterns: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]

    def sentence(self, rng: random.Random) -> str:
        """One sentence; the slots of one kind (`noun`, `noun2`) are filled differently, digits apart."""
        used: set[str] = set()

        def fill(match: re.Match[str]) -> str:
            kind = match[1].lower()
            word = rng.choice([w for w in self.words[kind] if w not in used or kind == "digit"])
            used.add(word)
            return word[0].upper() + word[1:] if match[1][0].isupper() else word

        sentence = _SLOT.sub(fill, rng.choice(self.patterns))
        return re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", sentence)


def load_grammar(path: Path = GRAMMAR_FILE) -> Grammar:
    """The committed grammar."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return Grammar(tuple(content["patterns"]), {kind: tuple(words) for kind, words in content["words"].items()})


def split_sentences(text: str) -> list[str]:
    """Split prose at the ends of its sentences and at semicolons and colons, and keep the speakable lengths."""
    text = " ".join(text.split())
    pieces = [p.strip() for p in re.split(r"(?<=[.!?;:])\s+", text)]
    whole = [re.sub(r"[;:,]$", ".", p[:1].upper() + p[1:]) for p in pieces]
    return [p for p in whole if MIN_CHARACTERS <= len(p) <= MAX_CHARACTERS and re.fullmatch(r"[A-Za-z' ,.!?;:-]+", p)]


def public_domain_sentences() -> list[str]:
    """Sentences of the King James Bible (1611) and of two state papers (1776, 1787).

    Raises: `SpeechDataError` where a package with the texts is not installed.
    """
    sentences: list[str] = []
    for paper in STATE_PAPERS:
        if not paper.is_file():
            raise SpeechDataError(f"{paper} is missing. Install it with: apt-get install {STATE_PAPERS_PACKAGE}")
        with gzip.open(paper, "rt", encoding="utf-8", errors="replace") as lines:
            sentences += split_sentences(lines.read())
    for passage in BIBLE_PASSAGES:
        verses = (re.sub(r"^\S+ ", "", line) for line in _bible(passage).splitlines())
        sentences += [s for verse in verses for s in split_sentences(verse.replace("LORD", "Lord"))]
    return sentences


def _bible(passage: str) -> str:
    try:
        return subprocess.run(["bible", "-f", passage], check=True, capture_output=True, text=True).stdout
    except FileNotFoundError as error:
        message = f"The command `bible` is missing. Install it with: apt-get install {' '.join(BIBLE_PACKAGES)}"
        raise SpeechDataError(message) from error


def english_sentences(seed: int) -> Iterator[str]:
    """Endless sentences without repetition, half from the grammar and half from the public domain while it lasts."""
    rng = random.Random(seed)
    grammar = load_grammar()
    prose = public_domain_sentences()
    rng.shuffle(prose)
    return distinct(prose.pop() if prose and rng.random() < 0.5 else grammar.sentence(rng) for _ in itertools.count())


def grammar_sentences(grammar: Grammar, seed: int) -> Iterator[str]:
    """Sentences of one grammar without repetition: endless, so ask for no more than the grammar has."""
    rng = random.Random(seed)
    return distinct(grammar.sentence(rng) for _ in itertools.count())


def distinct(sentences: Iterable[str]) -> Iterator[str]:
    """Each sentence where it comes first."""
    seen: set[str] = set()
    for sentence in sentences:
        if sentence not in seen:
            seen.add(sentence)
            yield sentence
