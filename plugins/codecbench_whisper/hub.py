"""Any Whisper in the transformers layout, from a hub name or a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from codecbench.contracts.recognizer import RecognizerContext, Transcript
from codecbench.errors import Unavailable
from codecbench.hashing import file_sha256
from codecbench.weights import locate_weights, require_modules

FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json")
# As published, and as transformers 5 saves it.
FRONT_ENDS = ("preprocessor_config.json", "processor_config.json")
WINDOW_SAMPLES = 30 * 16000


def locate(options: Mapping[str, Any]) -> Path:
    """Return the folder of the weights; raises Unavailable where none were named or files are missing."""
    require_modules(["transformers", "safetensors"], "whisper")
    if not options.get("weights"):
        raise Unavailable(
            "no weights named", "--set whisper.weights=openai/whisper-small or a folder, or CODECBENCH_WHISPER"
        )
    weights = str(options["weights"])
    newer = (Path(weights).expanduser() / FRONT_ENDS[1]).is_file()
    return locate_weights(weights, (*FILES, FRONT_ENDS[int(newer)]), option="whisper.weights")


def identity(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the digest of the weights and the version of the library that runs them."""
    from importlib import metadata

    folder = locate(options)
    return {
        "weights_sha256": file_sha256(folder / "model.safetensors"),
        "transformers": metadata.version("transformers"),
    }


class HubRecognizer:
    """Transcribes with transformers, in windows of 30 s, without sampling.

    Silence is given to the model like anything else, and what it writes counts.
    """

    def __init__(self, context: RecognizerContext) -> None:
        """Load the weights named by the option ``weights``; raises Unavailable where they cannot be had."""
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        folder = locate(context.options)
        self._processor = WhisperProcessor.from_pretrained(folder)
        model: Any = WhisperForConditionalGeneration.from_pretrained(folder, use_safetensors=True)
        self._model = model.to(context.device).eval()
        self._device = context.device
        self._beam = int(context.options["beam"])
        self._multilingual = bool(getattr(self._model.generation_config, "is_multilingual", True))

    def transcribe(self, audio: np.ndarray, language: str | None) -> Transcript:
        """Transcribe float32 [T] at 16 kHz; an unknown ``language`` is detected; no samples give no text."""
        windows = [audio[start : start + WINDOW_SAMPLES] for start in range(0, len(audio), WINDOW_SAMPLES)]
        return Transcript(" ".join(self._window(window, language) for window in windows).strip(), language)

    def _window(self, audio: np.ndarray, language: str | None) -> str:
        import torch

        features = self._processor(audio, sampling_rate=16000, return_tensors="pt", return_attention_mask=True)
        spoken: dict[str, Any] = {"task": "transcribe"} if self._multilingual else {}
        if self._multilingual and language:
            spoken["language"] = language.lower().split("-")[0]
        with torch.inference_mode():
            tokens = self._model.generate(
                features.input_features.to(self._device),
                attention_mask=features.attention_mask.to(self._device),
                num_beams=self._beam,
                do_sample=False,
                return_timestamps=False,
                **spoken,
            )
        return str(self._processor.batch_decode(tokens, skip_special_tokens=True)[0]).strip()
