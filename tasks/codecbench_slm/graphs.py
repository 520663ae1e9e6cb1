"""A generation step as one CUDA graph: hundreds of small kernels launched at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from codecbench.errors import UsageError

if TYPE_CHECKING:
    from codecbench_slm.generate import Generation

WARM_UP_STEPS = 3


def graphed(generation: Generation, steps: int) -> Callable[[], None]:
    """Capture ``generation.step`` and return what replays it; the generation goes on as if nothing had happened.

    steps: length of the generation, which the warm-up must not overrun (short ones are not captured).
    Raises UsageError without a CUDA device.
    """
    if generation.rows.device.type != "cuda":
        raise UsageError("generation.cache = 'graph' needs a CUDA device; take 'dynamic' or 'static'")
    if steps <= WARM_UP_STEPS + 1:
        return generation.step
    before = [(tensor, tensor.clone()) for tensor in generation.changing()]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_STEPS):
            generation.step()
    torch.cuda.current_stream().wait_stream(stream)
    # Keys and values that the warm-up wrote lie beyond the restored counts and are written over.
    for tensor, value in before:
        tensor.copy_(value)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        generation.step()
    return graph.replay
