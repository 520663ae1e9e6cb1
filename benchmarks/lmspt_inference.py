"""Speed of LM-SPT inference, side by side in one process with the same threads and the same audio.

    python benchmarks/lmspt_inference.py                      # CPU: release against the plain model, paper against Mimi
    python benchmarks/lmspt_inference.py --modes              # and bfloat16 and torch.compile, which wants a compiler
    python benchmarks/lmspt_inference.py --device cuda        # by batch size, precision and compile mode
    python benchmarks/lmspt_inference.py --hour               # an hour of audio by mini-12.5hz: time and peak memory

Weights are random (speed does not depend on them). Each figure is the least of ``--repeats`` runs, the contestants
taking turns; ``limit`` is the larger of operations over the measured matrix rate and bytes over the measured bandwidth,
as a share of the time taken. Writes ``benchmarks/results/lmspt_inference_<device>.json``.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from codecbench.hardware import describe_hardware, versions
from codecbench_lmspt import LMSPT, load_preset
from codecbench_lmspt.model import DEFAULT_CHUNK_SECONDS

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "plugins" / "lmspt"))
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
Call = Callable[[], object]


@dataclass(frozen=True)
class Mode:
    """A preset in one precision, compiled or not."""

    preset: str
    precision: str = "fp32"
    compiled: str = "none"

    @property
    def name(self) -> str:
        """What tells it from the others; the preset alone in the default mode."""
        changed = [value for value, plain in ((self.precision, "fp32"), (self.compiled, "none")) if value != plain]
        return ", ".join([self.preset, *changed])


CPU_MODES = tuple(
    Mode(preset, *mode) for preset in ("release", "mini-12.5hz") for mode in (("bf16", "none"), ("fp32", "compile"))
)


@dataclass(frozen=True)
class Row:
    """One contestant: seconds for encode and decode of the whole batch, and what they amount to."""

    model: str
    precision: str
    compiled: str
    batch_size: int
    audio_seconds: float
    encode_s: float
    decode_s: float
    audio_seconds_per_second: float
    peak_memory_gib: float | None
    limit_share: float | None

    @property
    def total_s(self) -> float:
        """Encode and decode together."""
        return self.encode_s + self.decode_s


@dataclass(frozen=True)
class Limits:
    """What the machine can do at best, measured here: operations per second by precision, bytes per second."""

    operations_per_s: dict[str, float]
    bytes_per_s: float


def synchronise(device: str) -> None:
    """Wait for the device."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def least_seconds(calls: dict[str, Call], repeats: int, device: str) -> dict[str, float]:
    """The least time of each call over ``repeats`` rounds in turns, after one warm-up round."""
    best = dict.fromkeys(calls, float("inf"))
    for round_ in range(repeats + 1):
        for name, call in calls.items():
            synchronise(device)
            start = time.perf_counter()
            call()
            synchronise(device)
            if round_:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def measure_limits(device: str) -> Limits:
    """Matrix product and copy rates on ``device``."""
    size = 8192 if device.startswith("cuda") else 1024
    rates = {}
    for name, dtype in DTYPES.items():
        if device == "cpu" and name != "fp32":
            continue
        a = torch.randn(size, size, device=device, dtype=dtype)
        rates[name] = 2 * size**3 / least_seconds({"mm": partial(torch.matmul, a, a)}, 5, device)["mm"]
    block = torch.zeros((1 << 30 if device.startswith("cuda") else 1 << 27) // 4, device=device)
    copied = torch.empty_like(block)
    seconds = least_seconds({"copy": lambda: copied.copy_(block)}, 5, device)["copy"]
    return Limits(rates, 2 * block.numel() * 4 / seconds)


def count_work(model: nn.Module, call: Call) -> tuple[float, float]:
    """Operations of ``call``, and bytes that its layers read and write at least (inputs, outputs, weights)."""
    moved = 0

    def note(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        nonlocal moved
        tensors = [t for t in (*inputs, output) if isinstance(t, Tensor)]
        tensors += list(module.parameters(recurse=False))
        moved += sum(t.numel() * t.element_size() for t in tensors)

    leaves = [m for m in model.modules() if next(m.children(), None) is None]
    handles = [leaf.register_forward_hook(note) for leaf in leaves]
    with FlopCounterMode(display=False) as counter:
        call()
    for handle in handles:
        handle.remove()
    return float(counter.get_total_flops()), float(moved)


def prepared(preset: str, device: str, precision: str = "fp32", compiled: str = "none") -> LMSPT:
    """A randomly initialised model, ready for inference."""
    torch.manual_seed(0)
    model = LMSPT(load_preset(preset)).to(device).for_inference(DTYPES[precision], compiled)
    model.chunk_seconds = None
    return model


def noise(rate_hz: int, seconds: float, batch_size: int, device: str) -> Tensor:
    """The audio, the same seconds for every model."""
    generator = torch.Generator().manual_seed(0)
    return (0.1 * torch.randn(batch_size, 1, round(rate_hz * seconds), generator=generator)).to(device)


def lmspt_calls(name: str, mode: Mode, seconds: float) -> tuple[LMSPT, dict[str, Call]]:
    """Encode and decode of one preset as calls to be timed."""
    model = prepared(mode.preset, "cpu", mode.precision, mode.compiled)
    audio = noise(model.sample_rate_hz, seconds, 1, "cpu")
    codes = model.encode(audio)
    return model, {f"{name} encode": lambda: model.encode(audio), f"{name} decode": lambda: model.decode(codes)}


def plain_release_calls(name: str, seconds: float) -> dict[str, Call]:
    """The straightforward eager model: plain functions on the state dict, weight norm live."""
    import lmspt_reference as reference  # type: ignore[import-not-found]

    torch.manual_seed(0)
    spec = load_preset("release")
    state = {key: value.detach() for key, value in LMSPT(spec).state_dict().items()}
    audio = noise(24_000, seconds, 1, "cpu")
    audio = nn.functional.pad(audio, (0, -audio.shape[-1] % spec.hop_samples))
    codes = torch.zeros(1, 8, audio.shape[-1] // spec.hop_samples, dtype=torch.long)

    strides = [4, 5, 6, 8, 2]

    def encode() -> Tensor:
        semantic = reference.encoder(state, "semantic_encoder", audio, strides)
        acoustic = reference.encoder(state, "acoustic_encoder", audio, strides)
        return semantic + acoustic  # the searches are left out: under one per cent, and to the plain model's favour

    def decode() -> Tensor:
        return reference.decoder(state, "decoder", reference.latent(state, codes), [2, 8, 6, 5, 4])

    return {f"{name} encode": encode, f"{name} decode": decode}


def mimi_calls(name: str, seconds: float) -> dict[str, Call]:
    """transformers' Mimi with random weights, 8 codebooks."""
    from transformers import MimiConfig, MimiModel

    torch.manual_seed(0)
    model = MimiModel(MimiConfig()).eval()
    audio = noise(24_000, seconds, 1, "cpu")
    codes = model.encode(audio, num_quantizers=8).audio_codes
    return {
        f"{name} encode": lambda: model.encode(audio, num_quantizers=8),
        f"{name} decode": lambda: model.decode(codes),
    }


def run_cpu(seconds: float, repeats: int, limits: Limits, modes: Sequence[Mode]) -> list[Row]:
    """All contestants on the CPU, taking turns: two of other people, ours in their default mode, and in ``modes``."""
    calls: dict[str, Call] = {
        **plain_release_calls("release, plain eager", seconds),
        **mimi_calls("Mimi, 8 codebooks", seconds),
    }
    known = {name: Mode(name) for name in ("release, plain eager", "Mimi, 8 codebooks")}
    floors: dict[str, float] = {}
    presets = ("release", "paper-25hz", "paper-12.5hz", "paper-6.25hz", "mini-25hz", "mini-12.5hz", "mini-6.25hz")
    for mode in [*map(Mode, presets), *modes]:
        model, own = lmspt_calls(mode.name, mode, seconds)
        if mode.name == mode.preset:
            floors[mode.name] = least_possible(model, own, limits, "fp32")
        known[mode.name] = mode
        calls |= own
    best = least_seconds(calls, repeats, "cpu")
    rows = []
    for name, mode in known.items():
        encode_s, decode_s = best[f"{name} encode"], best[f"{name} decode"]
        total = encode_s + decode_s
        share = floors[name] / total if name in floors else None
        mean = seconds / total
        rows.append(Row(mode.preset, mode.precision, mode.compiled, 1, seconds, encode_s, decode_s, mean, None, share))
    return rows


def least_possible(model: LMSPT, calls: dict[str, Call], limits: Limits, precision: str) -> float:
    """Seconds that the operations or the bytes of ``calls`` take at the measured rates, whichever is more."""
    works = [count_work(model, call) for call in calls.values()]
    return sum(max(w[0] / limits.operations_per_s[precision], w[1] / limits.bytes_per_s) for w in works)


def run_gpu(device: str, seconds: float, repeats: int, limits: Limits, batch_sizes: list[int]) -> list[Row]:
    """Release and paper by precision, compile mode and batch size; a size that does not fit ends its series."""
    rows = []
    for preset in ("release", "paper-12.5hz"):
        for precision in DTYPES:
            floors: dict[int, float] = {}
            for compiled in ("none", "compile", "cudagraphs"):
                model = prepared(preset, device, precision, compiled)
                for batch_size in batch_sizes:
                    try:
                        rows.append(
                            gpu_row(model, precision, compiled, batch_size, device, seconds, repeats, limits, floors)
                        )
                    except torch.OutOfMemoryError:
                        torch.cuda.empty_cache()
                        break
                del model
                torch.compiler.reset()
                torch.cuda.empty_cache()
    return rows


def gpu_row(
    model: LMSPT,
    precision: str,
    compiled: str,
    batch_size: int,
    device: str,
    seconds: float,
    repeats: int,
    limits: Limits,
    floors: dict[int, float],
) -> Row:
    """One measurement on a GPU; ``floors`` keeps what the eager model counted for the compiled ones."""
    audio = noise(model.sample_rate_hz, seconds, batch_size, device)
    codes = model.encode(audio)
    calls: dict[str, Call] = {"encode": lambda: model.encode(audio), "decode": lambda: model.decode(codes)}
    torch.cuda.reset_peak_memory_stats(device)
    best = least_seconds(calls, repeats, device)
    peak = torch.cuda.max_memory_allocated(device) / 2**30
    total = best["encode"] + best["decode"]
    if compiled == "none":
        floors[batch_size] = least_possible(model, calls, limits, precision)
    share = floors[batch_size] / total if batch_size in floors else None
    duration = seconds * batch_size
    name = model.spec.name
    return Row(
        name, precision, compiled, batch_size, duration, best["encode"], best["decode"], duration / total, peak, share
    )


@dataclass(frozen=True)
class LongRun:
    """Encode and decode of one long recording. Memory is this process's highest, by what was done up to then."""

    model: str
    audio_seconds: float
    encode_s: float
    decode_s: float
    audio_seconds_per_second: float
    audio_gib: float
    peak_memory_gib_before: float
    peak_memory_gib_encoded: float
    peak_memory_gib_decoded: float


def run_long(preset: str, seconds: float) -> LongRun:
    """Encode and decode ``seconds`` of noise in the chunks that are the default."""
    model = prepared(preset, "cpu")
    model.chunk_seconds = DEFAULT_CHUNK_SECONDS
    audio = torch.randn(1, 1, round(seconds * model.sample_rate_hz)).mul_(0.1)
    before, start = peak_memory_gib(), time.perf_counter()
    codes = model.encode(audio)
    encode_s, encoded = time.perf_counter() - start, peak_memory_gib()
    decoded_samples = model.decode(codes).shape[-1]
    total_s = time.perf_counter() - start
    assert decoded_samples >= audio.shape[-1]
    size = audio.numel() * audio.element_size() / 2**30
    speed = seconds / total_s
    return LongRun(
        preset, seconds, encode_s, total_s - encode_s, speed, size, before, encoded, peak_memory_gib()
    )  # fmt: skip


def peak_memory_gib() -> float:
    """The highest memory that this process has had (KiB on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def ratios(rows: list[Row]) -> dict[str, float]:
    """The two comparisons that are promised: time of ours over time of theirs, encode and decode together."""
    total = {row.model: row.total_s for row in rows if (row.precision, row.compiled) == ("fp32", "none")}
    pairs = {
        "release / plain eager release": ("release", "release, plain eager"),
        "paper-12.5hz / Mimi at 8 codebooks": ("paper-12.5hz", "Mimi, 8 codebooks"),
        "mini-12.5hz / Mimi at 8 codebooks": ("mini-12.5hz", "Mimi, 8 codebooks"),
    }
    return {name: total[a] / total[b] for name, (a, b) in pairs.items() if a in total and b in total}


def show(rows: list[Row], found: dict[str, float]) -> None:
    """Print the tables."""
    heads = ("encode s", "decode s", "x real time", "limit")
    print(f"{'model':24}{'type':6}{'compile':11}{'batch':>6}{heads[0]:>10}{heads[1]:>10}{heads[2]:>13}{heads[3]:>8}")
    for r in rows:
        share = "" if r.limit_share is None else f"{r.limit_share:.0%}"
        print(
            f"{r.model:24}{r.precision:6}{r.compiled:11}{r.batch_size:6}{r.encode_s:10.3f}{r.decode_s:10.3f}"
            f"{r.audio_seconds_per_second:13.1f}{share:>8}"
        )
    for name, ratio in found.items():
        print(f"{name}: {ratio:.2f}")


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32, 64, 128])
    parser.add_argument("--modes", action="store_true", help="On a CPU: also bfloat16 and torch.compile.")
    parser.add_argument("--hour", action="store_true", help="Only encode and decode an hour of audio, in chunks.")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    name = "lmspt_inference_hour_cpu" if args.hour else f"lmspt_inference_{args.device.split(':')[0]}"
    out = args.out or HERE / "results" / f"{name}.json"
    if args.hour:
        long = asdict(run_long("mini-12.5hz", 3600.0))
        print(json.dumps(long, indent=1))
        write(out, args, long)
        return
    with torch.inference_mode():
        limits = measure_limits(args.device)
        if args.device == "cpu":
            rows = run_cpu(args.seconds, args.repeats, limits, CPU_MODES if args.modes else ())
        else:
            rows = run_gpu(args.device, args.seconds, args.repeats, limits, args.batch_sizes)
    found = ratios(rows)
    show(rows, found)
    table = {"repeats": args.repeats, "limits": asdict(limits), "rows": [asdict(r) for r in rows], "ratios": found}
    write(out, args, table)


def write(out: Path, args: argparse.Namespace, found: dict[str, object]) -> None:
    """Write what was found, with the machine it was found on."""
    out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"hardware": describe_hardware(args.device), "versions": versions(), "threads": args.threads}
    out.write_text(json.dumps(machine | found, indent=1) + "\n")


if __name__ == "__main__":
    main()
