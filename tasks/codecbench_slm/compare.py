"""``codecbench slm compare``: one model for each codec and seed, the same budget, one table; resumable at any point."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codecbench.errors import CodecbenchError, Unavailable, UsageError
from codecbench_slm.config import SlmConfig
from codecbench_slm.corpus import read_sources
from codecbench_slm.encoding import Workplace, encode
from codecbench_slm.evaluate import EvalRequest, evaluate
from codecbench_slm.speech import SpeechFormat
from codecbench_slm.trained import is_finished, load_config
from codecbench_train.checkpoints import Checkpoints


@dataclass(frozen=True)
class Comparison:
    """What is compared. exclude: utterances that some codec has no tokens of, left out for all."""

    configs: tuple[SlmConfig, ...]
    folders: tuple[Path, ...]
    unavailable: tuple[str, ...]


def plan(base: SlmConfig, codecs: Sequence[str], seeds: Sequence[int], out: Path, place: Workplace) -> Comparison:
    """Encode for every codec, then leave out for all what one of them has no tokens of.

    Codecs that cannot be had here are told and left out. Raises UsageError where none is left.
    """
    labels, missing, excluded = [], [], set(base.data.exclude)
    utterances = read_sources(place.host.registry, base.data).everything
    for name in codecs:
        config = replace(base, codec=name)
        try:
            encodings = encode(place, config, utterances)
            with_tokens = next((e for u in utterances if (e := encodings.get(u)) is not None), None)
            SpeechFormat.of(encodings.label, encodings.prepared.spec, with_tokens)
        except Unavailable as error:
            missing.append(f"{name}: {error}")
            continue
        labels.append(encodings.label)
        excluded |= {u.id for u in utterances if encodings.get(u) is None}
    if not labels:
        raise UsageError("none of the codecs can be used here: " + "; ".join(missing))
    data = replace(base.data, exclude=tuple(sorted(excluded)))
    configs = [replace(base, codec=label, seed=seed, data=data) for label in dict.fromkeys(labels) for seed in seeds]
    folders = [out / "models" / slug(config.codec) / f"seed-{config.seed}" for config in configs]
    return Comparison(tuple(configs), tuple(folders), tuple(missing))


def slug(codec: str) -> str:
    """A codec's name as that of a folder."""
    return re.sub(r"[^A-Za-z0-9.@-]+", "-", codec)


def compare(
    comparison: Comparison, out: Path, place: Workplace, request: EvalRequest, tell: Callable[[str], None]
) -> bool:
    """Train what is not trained, codec by codec, and evaluate what is there; return whether everything is done.

    After each codec ``out / "results"`` is a run folder of all codecs so far. Generation is as the configurations say,
    where ``request`` does not.
    """
    done: list[Path] = []
    request = replace(request, generation=request.generation or comparison.configs[0].generation)
    for place_, (config, folder) in enumerate(zip(comparison.configs, comparison.folders, strict=True)):
        tell(f"{place_ + 1} of {len(comparison.configs)}: {config.codec}, seed {config.seed}")
        if not _train(config, folder, place):
            tell("stopped as asked; the same command goes on from here")
            return False
        done.append(folder)
        is_last_seed = place_ + 1 == len(comparison.configs) or comparison.configs[place_ + 1].codec != config.codec
        if is_last_seed:
            evaluate(done, out / "results", place, request)
    return True


def _train(config: SlmConfig, folder: Path, place: Workplace) -> bool:
    """Train one model to its end; return False where it was asked to stop before."""
    from codecbench_slm.train import train

    begun = bool(Checkpoints(folder / "checkpoints", 1).steps())
    # How speech is generated is no part of the training: a model is not trained again for another temperature.
    if (begun or is_finished(folder)) and replace(load_config(folder), generation=config.generation) != config:
        raise CodecbenchError(
            f"{folder} was trained with another configuration (see its config.toml); choose another --out, or remove it"
        )
    return is_finished(folder) or train(config, folder, place, resume=begun).finished
