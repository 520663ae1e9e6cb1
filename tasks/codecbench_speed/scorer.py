"""Times a codec as the protocol asks: threads fixed, device synchronised, warm, batch 1 and the best batch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import torch

from codecbench.contracts.audio import Batch
from codecbench.contracts.codec import Batching, Codec
from codecbench.contracts.metric import Measurement, Status
from codecbench_speed.batches import BestBatch, audio_seconds, best_batch
from codecbench_speed.clock import Round, WarmUp, median_round, warm_up
from codecbench_speed.memory import MemoryMeter

SPEEDS = ("encode_rtf", "decode_rtf", "encode_x_realtime", "decode_x_realtime")


class SpeedScorer:
    """Real-time factors over the given utterances at batch 1, and over copies of the first at the best batch.

    Threads are those that PyTorch is set to when the measurement starts; they stand in the component. A backend
    with threads of its own is not held to them.
    """

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s

    def measure(self, codec: Codec, batches: Sequence[Batch], load_seconds: float) -> Sequence[Measurement]:
        """Return timing measurements over ``batches`` of one utterance each, on the codec's device."""
        if not batches:
            names = (*SPEEDS, "first_call_ratio", "peak_memory_mib")
            return [_none(name, Status.BAD_INPUT, "no utterance of the corpus can be timed") for name in names]
        device = batches[0].audio.device
        meter = MemoryMeter(device)
        warm = warm_up(codec, batches[0])
        return [
            *self._single(codec, batches, warm),
            *_first_call(warm),
            Measurement("load_s", load_seconds),
            _memory(meter),
            _parameters(codec),
            *self._best(codec, batches[0]),
        ]

    def _single(self, codec: Codec, batches: Sequence[Batch], warm: WarmUp) -> Iterator[Measurement]:
        rounds = [median_round(codec, batch) for batch in batches]
        seconds = sum(audio_seconds(batch) for batch in batches)
        detail = json.dumps({"warmup_rounds": warm.rounds, "warmup_stable": warm.stable, "utterances": len(batches)})
        return _speeds(_sum(rounds), seconds, _component("batch-1"), detail)

    def _best(self, codec: Codec, single: Batch) -> Iterator[Measurement]:
        component = _component("best-batch")
        if codec.spec.batching is Batching.SINGLE:
            for name in SPEEDS:
                yield _none(name, Status.NOT_APPLICABLE, "the codec takes one utterance at a time", component)
            return
        best = best_batch(codec, single, self._budget_s)
        yield from _speeds(best.round, best.audio_s, component, _batch_detail(best))


def _speeds(round_: Round, audio_s: float, component: str, detail: str) -> Iterator[Measurement]:
    for step, seconds in (("encode", round_.encode_s), ("decode", round_.decode_s)):
        if seconds is None:
            for name in (f"{step}_rtf", f"{step}_x_realtime"):
                yield _none(name, Status.NOT_APPLICABLE, "the codec does not decode", component)
            continue
        seconds = max(seconds, 1e-9)  # finer than the clock
        yield Measurement(f"{step}_rtf", seconds / audio_s, Status.OK, "", seconds, audio_s, component, detail)
        yield Measurement(f"{step}_x_realtime", audio_s / seconds, Status.OK, "", audio_s, seconds, component, detail)


def _first_call(warm: WarmUp) -> Iterator[Measurement]:
    steps = (("encode", warm.first.encode_s, warm.last.encode_s), ("decode", warm.first.decode_s, warm.last.decode_s))
    for step, first, last in steps:
        if first is None or last is None:
            yield _none("first_call_ratio", Status.NOT_APPLICABLE, "the codec does not decode", step)
        else:
            detail = json.dumps({"first_s": first, "warm_s": last})
            yield Measurement("first_call_ratio", first / max(last, 1e-9), component=step, detail=detail)


def _memory(meter: MemoryMeter) -> Measurement:
    peak = meter.peak()
    if peak is None:
        return _none("peak_memory_mib", Status.NOT_APPLICABLE, "this system does not tell the peak memory")
    return Measurement("peak_memory_mib", peak.mib, component="batch-1", detail=json.dumps({"method": peak.method}))


def _parameters(codec: Codec) -> Measurement:
    count = codec.num_parameters()
    if count is None:
        return _none("parameters", Status.NOT_APPLICABLE, "the codec is not a model with parameters")
    return Measurement("parameters", float(count))


def _batch_detail(best: BestBatch) -> str:
    speeds = {str(size): round(speed, 3) for size, speed in best.tried}
    return json.dumps({"batch_size": best.size, "x_realtime_by_batch": speeds, "search_ended": best.ended})


def _sum(rounds: Sequence[Round]) -> Round:
    decodes = [r.decode_s for r in rounds if r.decode_s is not None]
    return Round(sum(r.encode_s for r in rounds), sum(decodes) if decodes else None)


def _component(batch: str) -> str:
    threads = torch.get_num_threads()
    return f"{batch}/{threads}-thread{'s' if threads != 1 else ''}"


def _none(metric: str, status: Status, reason: str, component: str = "") -> Measurement:
    return Measurement(metric, status=status, reason=reason, component=component)
