"""Properties of manners: a codec leaves its input and the process as it found them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from codecbench.conformance.properties import conformance_property, require
from codecbench.conformance.subject import Subject
from codecbench.contracts.encoded import AudioPassthrough, Bitstream, Encoded


@conformance_property("global-state")
def global_state(subject: Subject) -> str:
    """Do loading, encoding and decoding leave seeds, default dtype, threads and working folder alone?

    Judged before everything else, so that loading is seen; what was changed is put back for the others.
    """
    with _put_back():
        return _watch(subject)


def _watch(subject: Subject) -> str:
    before = _state()
    codec = subject.open() if subject.is_open else subject.codec
    _require_unchanged(before, "loading")
    batch = subject.batch(subject.cut(max(4 * subject.frame_samples, subject.spec.min_samples)))
    encoded = codec.encode(batch)
    _require_unchanged(before, "encode")
    if not subject.spec.encode_only:
        codec.decode(encoded)
        _require_unchanged(before, "decode")
    return ""


@conformance_property("input-unchanged", needs=("token-format",))
def input_unchanged(subject: Subject) -> str:
    """Do encode and decode leave the tensors that they are given as they are?"""
    batch = subject.batch(subject.cut(max(4 * subject.frame_samples + 1, subject.spec.min_samples)))
    audio, lengths = batch.audio.clone(), batch.num_samples.clone()
    with torch.inference_mode():
        encoded = subject.codec.encode(batch)
        require(torch.equal(batch.audio, audio), "encode changes batch.audio")
        require(torch.equal(batch.num_samples, lengths), "encode changes batch.num_samples")
        if not subject.spec.encode_only:
            kept = [tensor.clone() for tensor in _tensors(encoded)]
            subject.codec.decode(encoded)
            same = all(torch.equal(a, b) for a, b in zip(kept, _tensors(encoded), strict=True))
            require(same, "decode changes what encode returned")
    return ""


_STATE: dict[str, Callable[[], object]] = {
    "the seed of torch": lambda: torch.get_rng_state().numpy().tobytes(),
    "the seed of numpy": lambda: repr(np.random.get_state(legacy=False)),
    "the seed of random": random.getstate,
    "the default dtype": torch.get_default_dtype,
    "the number of threads": torch.get_num_threads,
    "gradient mode": torch.is_grad_enabled,
    "the demand for deterministic algorithms": torch.are_deterministic_algorithms_enabled,
    "the working folder": os.getcwd,
}


@contextmanager
def _put_back() -> Iterator[None]:
    torch_seed, numpy_seed, python_seed = torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()
    dtype, threads, gradients = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    strict, folder = torch.are_deterministic_algorithms_enabled(), os.getcwd()
    try:
        yield
    finally:
        torch.set_rng_state(torch_seed)
        np.random.set_state(numpy_seed)
        random.setstate(python_seed)
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)
        torch.use_deterministic_algorithms(strict)
        os.chdir(folder)


def _state() -> dict[str, object]:
    return {what: read() for what, read in _STATE.items()}


def _require_unchanged(before: dict[str, object], during: str) -> None:
    changed = [what for what, value in _state().items() if value != before[what]]
    require(not changed, f"{during} changes {' and '.join(changed)}")


def _tensors(encoded: Encoded) -> list[torch.Tensor]:
    if isinstance(encoded, Bitstream):
        return [encoded.num_samples]
    if isinstance(encoded, AudioPassthrough):
        return [encoded.num_samples, encoded.waveforms.audio, encoded.waveforms.num_samples]
    return [encoded.num_samples, *(t for s in encoded.streams for t in (s.codes, s.num_frames))]


MANNERS = (global_state,)
INPUT = (input_unchanged,)
