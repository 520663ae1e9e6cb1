"""Timing: what is timed, warm-up, batches, memory, statuses; with a codec whose cost is known."""

from __future__ import annotations

import json
import time

import pytest
import torch
from task_testing import make

import codecbench_speed
from codecbench import Batch, Batching, Codec, CodecSpec, Encoded, Measurement, Status, Waveforms, single_stream
from codecbench_speed import batches, clock
from codecbench_speed.memory import MemoryMeter

RATE_HZ = 1000


class Sleeper(Codec):
    """Sleeps for a fixed time a call, and longer at the first."""

    def __init__(
        self, *, first_s: float = 0.0, call_s: float = 0.005, row_s: float = 0.0, largest: int = 1000, **spec: object
    ) -> None:
        self.spec = CodecSpec("sleeper", **{"batching": Batching.MASKED, **spec})
        self._first_s, self._call_s, self._row_s, self._largest = first_s, call_s, row_s, largest
        self.batch_sizes: list[int] = []

    def encode(self, batch: Batch) -> Encoded:
        if len(batch) > self._largest:
            raise MemoryError("too large")
        time.sleep(self._call_s + self._row_s * len(batch) + (0.0 if self.batch_sizes else self._first_s))
        self.batch_sizes.append(len(batch))
        return single_stream(
            torch.zeros(len(batch), 1, 4, dtype=torch.int64),
            num_frames=torch.full((len(batch),), 4),
            num_samples=batch.num_samples,
            frame_rate_hz=4.0,
            codebook_sizes=(8,),
        )

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        time.sleep(self._call_s / 2)
        rows = len(encoded.num_samples)
        return Waveforms(torch.zeros(rows, 1, RATE_HZ), encoded.num_samples, RATE_HZ)

    def num_parameters(self) -> int:
        return 123


def _batch(seconds: float = 1.0) -> Batch:
    samples = round(seconds * RATE_HZ)
    return Batch(torch.zeros(1, 1, samples), torch.tensor([samples]), RATE_HZ)


def _measure(codec: Codec, *given: Batch, budget_s: float = 5.0) -> dict[tuple[str, str], Measurement]:
    scorer = make(codecbench_speed, "speed", {"budget_s": budget_s})
    threads = torch.get_num_threads()
    return {
        (m.metric, m.component.replace(f"/{threads}-thread{'s' if threads > 1 else ''}", "")): m
        for m in scorer.measure(codec, given or (_batch(),), 1.5)
    }


def test_real_time_factor_is_work_over_audio() -> None:
    found = _measure(Sleeper(call_s=0.02), _batch(1.0), _batch(3.0))
    encode, decode = found["encode_rtf", "batch-1"], found["decode_rtf", "batch-1"]
    assert encode.denominator == pytest.approx(4.0)
    assert 0.04 / 4 <= encode.value < 0.12 / 4
    assert 0.02 / 4 <= decode.value < encode.value
    assert found["encode_x_realtime", "batch-1"].value == pytest.approx(1 / encode.value)


def test_the_first_call_stands_apart_and_does_not_count_as_warm() -> None:
    found = _measure(Sleeper(first_s=0.3, call_s=0.01))
    assert found["first_call_ratio", "encode"].value > 8
    assert found["encode_rtf", "batch-1"].value < 0.1
    assert json.loads(found["first_call_ratio", "encode"].detail)["first_s"] > 0.3


def test_threads_stand_in_the_component() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        names = {m.component for m in make(codecbench_speed, "speed").measure(Sleeper(), [_batch()], 0.0)}
    finally:
        torch.set_num_threads(before)
    assert {"batch-1/1-thread", "best-batch/1-thread"} <= names


def test_the_best_batch_ends_where_a_doubling_gains_nothing() -> None:
    found = _measure(Sleeper(call_s=0.02, row_s=0.02), budget_s=30)
    detail = json.loads(found["encode_rtf", "best-batch"].detail)
    assert detail["search_ended"] == "no further gain"
    assert 1 < detail["batch_size"] < 64
    assert found["encode_x_realtime", "best-batch"].value > found["encode_x_realtime", "batch-1"].value


def test_running_out_of_memory_ends_the_search_and_not_the_measurement() -> None:
    found = _measure(Sleeper(call_s=0.01, largest=4))
    detail = json.loads(found["decode_rtf", "best-batch"].detail)
    assert (detail["batch_size"], detail["search_ended"]) == (4, "out of memory at batch 8")


def test_the_budget_ends_the_search() -> None:
    found = _measure(Sleeper(call_s=0.01), budget_s=0.0)
    detail = json.loads(found["encode_rtf", "best-batch"].detail)
    assert detail["batch_size"] == 1
    assert "budget" in detail["search_ended"]


def test_a_codec_that_takes_one_at_a_time_is_never_given_a_batch() -> None:
    codec = Sleeper(batching=Batching.SINGLE)
    found = _measure(codec)
    assert set(codec.batch_sizes) == {1}
    assert found["encode_rtf", "best-batch"].status is Status.NOT_APPLICABLE


def test_an_encode_only_codec_has_no_decode_times() -> None:
    found = _measure(Sleeper(encode_only=True))
    for key in (("decode_rtf", "batch-1"), ("decode_x_realtime", "best-batch"), ("first_call_ratio", "decode")):
        assert found[key].status is Status.NOT_APPLICABLE
    assert found["encode_rtf", "batch-1"].status is Status.OK


def test_load_time_parameters_and_memory() -> None:
    found = _measure(Sleeper())
    assert found["load_s", ""].value == 1.5
    assert found["parameters", ""].value == 123
    assert found["peak_memory_mib", "batch-1"].value > 10  # an interpreter with torch
    assert json.loads(found["peak_memory_mib", "batch-1"].detail)["method"]


def test_a_codec_that_is_no_model_has_no_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sleeper, "num_parameters", lambda self: None)
    assert _measure(Sleeper())["parameters", ""].status is Status.NOT_APPLICABLE


def test_without_utterances_there_are_statuses() -> None:
    measured = make(codecbench_speed, "speed").measure(Sleeper(), [], 0.0)
    assert {m.status for m in measured} == {Status.BAD_INPUT}


@pytest.mark.parametrize(
    ("seconds", "stable"),
    [
        ([9.0, 1.0, 1.0, 1.0], True),
        ([1.0, 1.0, 1.0], False),  # the first call never counts
        ([9.0, 3.0, 2.0, 1.0], False),
        ([9.0, 3.0, 1.05, 1.0, 1.0], True),
        ([9.0, 1.0, 1.0, 1.2], False),
    ],
)
def test_warm_means_three_rounds_within_ten_percent(seconds: list[float], stable: bool) -> None:
    assert clock.is_stable(seconds) is stable


def test_warm_up_gives_up_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 2.0] * 50)
    monkeypatch.setattr(clock, "run_once", lambda codec, batch: clock.Round(next(times), None))
    warm = clock.warm_up(Sleeper(), _batch())
    assert (warm.rounds, warm.stable) == (clock.MAX_WARMUP_ROUNDS, False)


def test_repeated_rows_are_copies_of_equal_length() -> None:
    batch = batches.repeated(_batch(0.5), 3)
    assert (len(batch), batch.num_samples.tolist(), batches.audio_seconds(batch)) == (3, [500] * 3, 1.5)


def test_peak_memory_sees_what_was_allocated_and_freed() -> None:
    meter = MemoryMeter(torch.device("cpu"))
    before = meter.peak()
    block = torch.ones(64 * 2**20 // 4)
    del block
    after = meter.peak()
    if before is None or "start of the process" in before.method:
        pytest.skip("this system does not tell the peak of a piece of work")
    assert after.mib - before.mib > 50


@pytest.mark.gpu
def test_peak_memory_on_a_gpu_is_that_of_its_tensors() -> None:
    device = torch.device("cuda")
    meter = MemoryMeter(device)
    before = meter.peak().mib
    block = torch.ones(64 * 2**20 // 4, device=device)
    del block
    assert meter.peak().mib - before == pytest.approx(64, abs=8)
