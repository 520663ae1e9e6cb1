"""Weight files: safetensors in the official key layout, read strictly, from a path, a preset's name or the hub."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from codecbench_lmspt.convolution import WeightNormed, split_weight
from codecbench_lmspt.files import (
    HUB_FILE,
    HUB_NAME,
    LICENCE_KEY,
    SPEC_KEY,
    WEIGHTS_DIR,
    WeightsError,
    find_file,
    shipped_weights,
)
from codecbench_lmspt.presets import load_preset, preset_names, spec_from_table, spec_to_table
from codecbench_lmspt.spec import ModelSpec
from codecbench_lmspt.stated import check_stated, require_same

if TYPE_CHECKING:
    from codecbench_lmspt.model import LMSPT

# State that only training needs; it lives in the trainer's checkpoints.
TRAINING_ONLY = ("distillation_head.", ".codebook.ema.")

ModelT = TypeVar("ModelT", bound="LMSPT")


class LicenceNotice(UserWarning):
    """Weights that may not be used for everything."""


def find(source: str | Path, preset: str | None = None) -> tuple[Path, str | None]:
    """The weight file that ``source`` names, and the preset it implies, if it does. Raises :class:`WeightsError`."""
    if str(source) == HUB_NAME:
        return _from_hub(), "release"
    if str(source) in preset_names():
        path = shipped_weights(str(source))
        if not path.is_file():
            raise WeightsError(
                f"no weights for LM-SPT {source!r} come with this package; pass the path of a weight file instead"
            )
        return path, str(source)
    return find_file(Path(source), preset), None


def _from_hub() -> Path:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise WeightsError(f"{HUB_NAME} needs huggingface-hub: pip install 'codecbench[lmspt]'") from None
    try:
        return Path(hf_hub_download(HUB_NAME, HUB_FILE))
    except Exception as error:
        raise WeightsError(
            f"{HUB_NAME} could not be fetched from the model hub ({type(error).__name__}); where there is no network, "
            f"bring {HUB_FILE} here and pass its path"
        ) from error


def load(cls: type[ModelT], source: str | Path, preset: str | None) -> ModelT:
    """A model of ``cls`` with the weights that ``source`` names. Raises :class:`WeightsError`."""
    path, implied = find(source, preset)
    state, metadata = read(path)
    spec = _spec_of(path, metadata, preset or implied)
    with torch.random.fork_rng(devices=[]):  # the initial values are thrown away: nobody else's draws should move
        if SPEC_KEY in metadata and path.parent != WEIGHTS_DIR:  # a preset is of known size; this takes a second
            check_stated(lambda: cls(spec), state, is_training_only, _not_this(path.name, spec))
        model = cls(spec)
    apply_state(model, state, path.name)
    if model.spec.name.startswith("release") or metadata.get(LICENCE_KEY, "").upper().startswith("CC-BY-NC"):
        _notice_once()
    return model


def _spec_of(path: Path, metadata: Mapping[str, str], preset: str | None) -> ModelSpec:
    if SPEC_KEY in metadata:
        try:
            spec = spec_from_table(json.loads(metadata[SPEC_KEY]))
        except ValueError as error:  # JSON's and the preset's errors are both of this kind
            raise WeightsError(f"{path.name} states a model that this version does not know: {error}") from None
        if preset is not None and spec.codebook_sizes != load_preset(preset).codebook_sizes:
            raise WeightsError(f"{path.name} is an LM-SPT {spec.name!r}, not {preset!r}")
        return spec
    return load_preset(preset or "release")


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises :class:`WeightsError` for anything else (pickles included)."""
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        start = file.read(9)
    # A safetensors file is eight bytes of header length, then JSON; the length may begin like a pickle.
    pickled = start[8:9] != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80")
    if pickled or path.suffix in (".bin", ".ckpt", ".pkl", ".pt", ".pth"):
        raise WeightsError(
            f"{path.name} is a pickle, which can run code when loaded, and is refused: safetensors is expected"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsError(f"{path.name} is not a safetensors file: {error}") from None


def apply_state(model: LMSPT, state: Mapping[str, Tensor], name: str) -> None:
    """Load inference weights strictly; raises :class:`WeightsError` that names the first differing keys."""
    own = {key: tensor for key, tensor in model.state_dict().items() if not is_training_only(key)}
    require_same(own, state, is_training_only, _not_this(name, model.spec))
    model.load_state_dict({key: state[key].to(own[key].dtype) for key in own}, strict=False)
    model.quantizer.mark_started()


def _not_this(name: str, spec: ModelSpec) -> str:
    return f"{name} is not an LM-SPT {spec.name!r}"


def is_training_only(key: str) -> bool:
    """Whether a state-dict key belongs to training alone."""
    return any(part in key for part in TRAINING_ONLY)


def inference_state(model: LMSPT) -> dict[str, Tensor]:
    """The tensors of the official layout; folded layers are written as gain and direction again."""
    state = {key: tensor for key, tensor in model.state_dict().items() if not is_training_only(key)}
    for prefix, module in model.named_modules():
        if isinstance(module, WeightNormed) and module.folded:
            gain, direction = split_weight(state.pop(f"{prefix}.weight"))
            state[f"{prefix}.weight_g"], state[f"{prefix}.weight_v"] = gain, direction
    return state


def save(model: LMSPT, path: str | Path, dtype: torch.dtype, licence: str) -> Path:
    """Write weights and spec: to the file named, or to ``model.safetensors`` in a folder."""
    from safetensors.torch import save_file

    path = Path(path)
    if path.suffix != ".safetensors":
        path = path / "model.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {key: tensor.detach().to("cpu", dtype).contiguous() for key, tensor in inference_state(model).items()}
    metadata = {"format": "pt", SPEC_KEY: json.dumps(spec_to_table(model.spec))}
    if licence:
        metadata[LICENCE_KEY] = licence
    # Written whole, then renamed: a reader never sees half a file.
    partial = path.with_suffix(".partial")
    save_file(state, str(partial), metadata=metadata)
    partial.chmod(0o644)  # the writer makes it readable by its owner alone
    partial.replace(path)
    return path


_noticed = False


def _notice_once() -> None:
    global _noticed
    if not _noticed:
        _noticed = True
        warnings.warn(
            "LM-SPT release weights are licensed CC-BY-NC-4.0: non-commercial use only", LicenceNotice, stacklevel=4
        )
