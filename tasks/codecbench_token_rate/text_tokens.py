"""Audio tokens for each text token of the same utterance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codecbench.contracts.encoded import Tokens
from codecbench.contracts.metric import Measurement, ScoreItem, Status
from codecbench.errors import Unavailable
from codecbench.hashing import file_sha256
from codecbench.weights import require_modules
from codecbench_token_rate.rates import no_text, ratio

METRIC = "tokens_per_text_token"
DEFAULT_NAME = "whisper-multilingual-bpe"


def locate(options: Mapping[str, Any]) -> Path:
    """Return the tokenizer file; raises Unavailable where it or the package that reads it is missing."""
    require_modules(["tokenizers"], "whisper")
    if options.get("tokenizer"):
        path = Path(options["tokenizer"])
        if not path.is_file():
            raise Unavailable(f"text_tokens.tokenizer={path}: no such file", "give the path of a tokenizer.json")
        return path
    try:
        from codecbench_whisper.assets import AssetError, packaged_file
    except ImportError as error:
        raise Unavailable("no text tokenizer", "--set text_tokens.tokenizer=FILE") from error
    try:
        return packaged_file("base", "tokenizer.json")
    except AssetError as error:
        raise Unavailable(str(error), "or --set text_tokens.tokenizer=FILE") from error


def identity(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the digest of the tokenizer: other tokens, other values."""
    return {"tokenizer_sha256": file_sha256(locate(options))}


class TextTokenScorer:
    """Counts text tokens with a tokenizer that is named beside every value."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Load the tokenizer of the option ``tokenizer``, or the default; raises Unavailable."""
        path = locate(options)
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path))
        self._name = str(path) if options.get("tokenizer") else DEFAULT_NAME

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return codes of all codebooks over text tokens (no special tokens)."""
        if not isinstance(item.encoded, Tokens):
            return [Measurement(METRIC, status=Status.NOT_APPLICABLE, reason="the codec makes no tokens")]
        text = (item.utterance.text or "").strip()
        if not text:
            return [no_text(METRIC)]
        pieces = len(self._tokenizer.encode(text, add_special_tokens=False).ids)
        detail = json.dumps({"tokenizer": self._name}, ensure_ascii=False)
        return [ratio(METRIC, item.encoded.num_tokens(0), pieces, detail=detail)]
