"""Text as token ids: characters or a small BPE learnt from the training texts, or the backbone's own tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from codecbench.errors import UsageError

FILE_NAME = "tokenizer.json"
EOS, UNKNOWN = "<eos>", "<unk>"
TextKind = Literal["characters", "bpe", "backbone"]


def spoken(text: str) -> str:
    """Return ``text`` as the model reads and writes it: lower case without punctuation (Whisper's basic normaliser).

    Recognition corpora are written so, and letter case cannot be heard. Figures are made after the normaliser of the
    utterance's language on both sides, so nothing is lost to them.
    """
    from codecbench_intelligibility.normalizers import normalizer_for

    return normalizer_for(None).normalize(text)


class TextCodec:
    """A tokenizer with an end-of-text id: ``size`` ids, text to ids and back."""

    def __init__(self, tokenizer: Any, eos_id: int, size: int) -> None:
        """Take a ``tokenizers.Tokenizer`` whose id ``eos_id`` ends a text; ``size`` ids, some perhaps unused."""
        self._tokenizer, self.eos_id, self.size = tokenizer, eos_id, size

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text`` without the end."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``; special ones are left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``."""
        self._tokenizer.save(str(folder / FILE_NAME))

    @classmethod
    def load(cls, folder: Path, eos_id: int, size: int) -> TextCodec:
        """Read what ``save`` wrote."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(folder / FILE_NAME)), eos_id, size)


def learn(kind: TextKind, texts: Iterable[str], vocabulary: int) -> TextCodec:
    """Learn ``characters`` (``vocabulary`` is not used) or ``bpe`` (byte-level) from texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    specials = [EOS, UNKNOWN]
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    if kind == "characters":
        # A vocabulary that is full before the first merge leaves single characters.
        tokenizer.decoder = decoders.Fuse()
        trainer = trainers.BpeTrainer(vocab_size=0, special_tokens=specials, show_progress=False)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    tokenizer.train_from_iterator(list(texts), trainer)
    # The trainer takes the special tokens first, so the end of text is id 0.
    return TextCodec(tokenizer, specials.index(EOS), tokenizer.get_vocab_size())


def of_backbone(name: str, size: int) -> TextCodec:
    """Take the tokenizer of a hub model or folder; ``size`` is that of its embedding table."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name)
    if tokenizer.eos_token_id is None or not tokenizer.is_fast:
        raise UsageError(f"model.backbone = {name!r}: its tokenizer must be a fast one with an end-of-text token")
    return TextCodec(tokenizer.backend_tokenizer, int(tokenizer.eos_token_id), size)
