"""Models whose size a file states: compared with the tensors that the file holds, before any memory is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from codecbench_lmspt.files import WeightsError

# Beyond what the file holds (buffers, what only training needs): as much again, and this many elements.
_SPARE_ELEMENTS = 1 << 24
# Making a layer takes up to ten calls of torch for each of its tensors.
_CALLS, _CALLS_PER_TENSOR = 2_000, 50


def check_stated(
    make: Callable[[], nn.Module], held: Mapping[str, Tensor], left_out: Callable[[str], bool], name: str
) -> None:
    """Make the model without memory (torch's ``meta`` device) and compare its tensors with those that are held.

    left_out: keys that need not be held. name: begins the message. Raises :class:`WeightsError`.
    """
    try:
        with torch.device("meta"), _Bounded(_CALLS + _CALLS_PER_TENSOR * len(held)):
            model = make()
    except (RuntimeError, ArithmeticError, TypeError, MemoryError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{name}: the model that it states cannot be made ({reason})") from None
    require_same(model.state_dict(), held, left_out, name)
    stated, most = _elements([*model.parameters(), *model.buffers()]), 2 * _elements(held.values()) + _SPARE_ELEMENTS
    if stated > most:
        raise WeightsError(f"{name}: it states a model of {stated:,} elements, its tensors allow {most:,} at most")


def require_same(
    own: Mapping[str, Tensor], held: Mapping[str, Tensor], left_out: Callable[[str], bool], name: str
) -> None:
    """Compare keys and shapes; raises :class:`WeightsError` that begins with ``name`` and names the first."""
    needed = {key: tensor for key, tensor in own.items() if not left_out(key)}
    differing = [f"missing {key}" for key in needed if key not in held]
    differing += [f"unexpected {key}" for key in held if key not in needed]
    differing += [
        f"{key} is {list(held[key].shape)}, expected {list(tensor.shape)}"
        for key, tensor in needed.items()
        if key in held and held[key].shape != tensor.shape
    ]
    if differing:
        raise WeightsError(f"{name}: {len(differing)} keys differ, first: {'; '.join(differing[:3])}")


def _elements(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


class _Bounded(TorchFunctionMode):
    """Ends a constructor that goes on for more layers than the file can hold."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self._left = calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._left -= 1
        if self._left < 0:
            raise WeightsError("it states far more layers than it holds tensors")
        return func(*args, **(kwargs or {}))
