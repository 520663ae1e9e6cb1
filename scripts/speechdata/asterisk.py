"""The Asterisk core prompts of Debian: raw G.722 files and the list of what is said in them."""

from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path

from .records import SpeechDataError

SOUNDS_ROOT = Path("/usr/share/asterisk/sounds")
DOC_ROOT = Path("/usr/share/doc")


@dataclasses.dataclass(frozen=True)
class Voice:
    """One speaker's set of prompts: where it lies, who speaks, under which licence."""

    language: str
    folder: str
    speaker: str
    licence: str

    @property
    def packages(self) -> tuple[str, str]:
        """The Debian packages of the audio and of the text."""
        return f"asterisk-core-sounds-{self.language}-g722", f"asterisk-core-sounds-{self.language}"


# Allison Smith recorded the English and the Spanish prompts: one speaker id for both, so that a split by
# speaker cannot separate them.
VOICES = {
    voice.language: voice
    for voice in (
        Voice("en", "en_US_f_Allison", "asterisk-allison", "CC-BY-SA-3.0"),
        Voice("es", "es_MX_f_Allison", "asterisk-allison", "CC-BY-SA-3.0"),
        Voice("fr", "fr_CA_f_June", "asterisk-june", "CC-BY-SA-3.0"),
        Voice("it", "it_IT_m_Carlo", "asterisk-carlo", "CC-BY-3.0"),
        Voice("ru", "ru_RU_f_IvrvoiceRU", "asterisk-ivrvoiceru", "CC-BY-3.0"),
    )
}


def prompt_texts(voice: Voice, doc_root: Path = DOC_ROOT) -> dict[str, str]:
    """The text of every prompt by its id (path without extension); lines that describe tones are left out.

    Raises: `SpeechDataError` where the package with the text is not installed.
    """
    audio_package, text_package = voice.packages
    path = doc_root / text_package / f"core-sounds-{voice.language}.txt.gz"
    if not path.is_file():
        raise SpeechDataError(
            f"The text of the Asterisk prompts ({voice.language}) is not installed: {path} is missing. "
            f"Install it with: apt-get install {text_package} {audio_package}"
        )
    with gzip.open(path, "rt", encoding="utf-8-sig") as lines:
        return parse_prompt_list(lines.read())


def parse_prompt_list(listing: str) -> dict[str, str]:
    """Parse `id: text` lines, leaving out comments (`;`) and descriptions of tones or markers (`[`, `(`)."""
    texts = {}
    for line in listing.splitlines():
        prompt_id, separator, text = line.partition(":")
        if separator and text.strip() and not line.startswith(";") and not set("[(") & set(text):
            texts[prompt_id.strip()] = text.strip()
    return texts


def prompt_files(voice: Voice, sounds_root: Path = SOUNDS_ROOT) -> dict[str, Path]:
    """Every prompt's G.722 file by its id; raises `SpeechDataError` where the package is not installed."""
    folder = sounds_root / voice.folder
    files = {p.relative_to(folder).with_suffix("").as_posix(): p for p in sorted(folder.rglob("*.g722"))}
    if not files:
        raise SpeechDataError(
            f"No Asterisk prompts ({voice.language}) in {folder}. "
            f"Install them with: apt-get install {voice.packages[0]}"
        )
    return files
