"""Properties of batching: an utterance's codes and audio do not depend on its neighbours or its padding."""

from __future__ import annotations

import numpy as np

from codecbench.conformance.comparing import encoded_difference, waveform_difference
from codecbench.conformance.properties import DoesNotApply, conformance_property, require_same
from codecbench.conformance.subject import Subject
from codecbench.contracts.codec import Batching

_NEEDS = ("token-format", "waveform-format", "round-trip-length", "determinism-calls")


@conformance_property("batch-equal-lengths", needs=_NEEDS)
def batch_equal_lengths(subject: Subject) -> str:
    """Do utterances of equal length give the same codes and audio in one batch as alone?"""
    _refuse_single(subject)
    length = max(6 * subject.frame_samples, subject.spec.min_samples)
    rows = [subject.cut(length, start) for start in (0, length // 3, subject.rate_hz // 2)]
    _compare(subject, rows)
    return f"{len(rows)} rows of {length} samples"


@conformance_property("batch-unequal-lengths", needs=(*_NEEDS, "batch-equal-lengths"))
def batch_unequal_lengths(subject: Subject) -> str:
    """Do utterances of unequal lengths, as far as the declared batching lets them meet, code as alone?"""
    _refuse_single(subject)
    frame, shortest = subject.frame_samples, subject.spec.min_samples
    if subject.spec.batching is Batching.MASKED:
        lengths = [9 * frame + 5, 4 * frame, frame + 1, 2 * frame - 1]
    else:
        lengths = [7 * frame, 7 * frame - 1, 7 * frame - frame // 2, 6 * frame + 1]
    lengths = [max(n, shortest) for n in lengths]
    if len(set(lengths)) == 1:
        raise DoesNotApply("frames of one sample: equal frames are equal lengths")
    _compare(subject, [subject.cut(n, 50 * i) for i, n in enumerate(lengths)])
    return f"rows of {', '.join(map(str, lengths))} samples"


@conformance_property("padding-invariance", needs=_NEEDS)
def padding_invariance(subject: Subject) -> str:
    """Do zeros to the right of an utterance's true length change nothing?"""
    _refuse_single(subject)
    frame = subject.frame_samples
    length = max(5 * frame + max(1, frame // 3), subject.spec.min_samples)
    padding = 3 * frame + 1 if subject.spec.batching is Batching.MASKED else -length % frame
    if padding == 0:
        raise DoesNotApply("frames of one sample leave no room for padding")
    row = subject.cut(length)
    plain, padded = subject.encode(row), subject.encode(row, padding=padding).row(0)
    require_same(encoded_difference(plain, padded), f"{padding} zeros after {length} samples change the codes")
    if not subject.spec.encode_only:
        difference = waveform_difference(subject.decode(plain), subject.decode(padded))
        require_same(difference, f"{padding} zeros after {length} samples change the audio")
    return ""


def _refuse_single(subject: Subject) -> None:
    if subject.spec.batching is Batching.SINGLE:
        raise DoesNotApply("batching 'single' is declared: utterances never meet")


def _compare(subject: Subject, rows: list[np.ndarray]) -> None:
    together = subject.encode(*rows)
    alone = [subject.encode(row) for row in rows]
    for index, single in enumerate(alone):
        where = f"row {index} ({len(rows[index])} samples), batched against alone"
        require_same(encoded_difference(together.row(index), single), where)
    if subject.spec.encode_only:
        return
    waves = subject.decode(together)
    for index, single in enumerate(alone):
        where = f"row {index} ({len(rows[index])} samples), decoded batched against alone"
        require_same(waveform_difference(waves, subject.decode(single), row=index), where)


BATCHES = (batch_equal_lengths, batch_unequal_lengths, padding_invariance)
