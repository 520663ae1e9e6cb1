"""Properties of repetition: the same input gives the same output, in the next call and in another process."""

from __future__ import annotations

import multiprocessing
import pickle
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

from codecbench.conformance.comparing import encoded_difference, waveform_difference
from codecbench.conformance.properties import DoesNotApply, PropertyFails, conformance_property, require, require_same
from codecbench.conformance.signals import Speech, noise
from codecbench.conformance.subject import OpenCodec, Subject
from codecbench.contracts.audio import Waveforms
from codecbench.contracts.codec import CodecSpec
from codecbench.contracts.encoded import Encoded

PROCESS_TIMEOUT_S = 300.0


@conformance_property("determinism-calls", needs=("token-format", "waveform-format"))
def determinism_calls(subject: Subject) -> str:
    """Does the same utterance give the same codes and audio in the next call, whatever came between?"""
    _refuse_random(subject)
    first = _pass(subject)
    subject.encode(noise(max(3 * subject.frame_samples, subject.spec.min_samples)))
    _compare(first, _pass(subject), "a second call")
    return ""


@conformance_property("determinism-processes", needs=("determinism-calls",))
def determinism_processes(subject: Subject) -> str:
    """Does the same utterance give the same codes and audio in a freshly started process?"""
    _refuse_random(subject)
    if not subject.crosses_processes:
        raise DoesNotApply("the codec was given as an object: give a module's function that makes it")
    recipe = _Recipe(subject.spec, subject.open, subject.speech, subject.device, torch.get_num_threads())
    _compare(_on_cpu(_pass(subject)), _pass_elsewhere(recipe), "another process")
    return ""


@dataclass(frozen=True, eq=False)
class _Recipe:
    spec: CodecSpec
    open: OpenCodec
    speech: Speech
    device: str
    num_threads: int


_Pass = tuple[Encoded, Waveforms | None]


def _pass(subject: Subject) -> _Pass:
    signal = subject.cut(max(7 * subject.frame_samples + 1, subject.spec.min_samples))
    encoded = subject.encode(signal)
    return encoded, None if subject.spec.encode_only else subject.decode(encoded)


def _pass_elsewhere(recipe: _Recipe) -> _Pass:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(recipe, theirs))
    process.start()
    theirs.close()
    try:
        require(ours.poll(PROCESS_TIMEOUT_S), f"another process gives no answer within {PROCESS_TIMEOUT_S:.0f} s")
        answer = pickle.loads(ours.recv_bytes())
    except EOFError:
        process.join()
        raise PropertyFails(f"another process dies with exit code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
    require(not isinstance(answer, str), f"in another process the codec raises {answer}")
    done: _Pass = answer
    return done


def _answer(recipe: _Recipe, connection: Connection) -> None:
    """Pickle the answer here, so that no tensor stays in memory shared with a process that ends."""
    torch.set_num_threads(recipe.num_threads)
    try:
        done: object = _on_cpu(_pass(Subject(recipe.spec, recipe.open, recipe.speech, recipe.device)))
    except Exception as error:
        done = f"{type(error).__name__}: {error}"
    connection.send_bytes(pickle.dumps(done))


def _on_cpu(done: _Pass) -> _Pass:
    from codecbench.runner.batching import moved

    encoded, waves = done
    if waves is not None:
        waves = Waveforms(waves.audio.cpu(), waves.num_samples.cpu(), waves.sample_rate_hz)
    return moved(encoded, "cpu"), waves


def _compare(one: _Pass, other: _Pass, what: str) -> None:
    require_same(encoded_difference(one[0], other[0]), f"{what} gives other codes")
    if one[1] is not None and other[1] is not None:
        require_same(waveform_difference(one[1], other[1]), f"{what} gives other audio")


def _refuse_random(subject: Subject) -> None:
    if not subject.spec.deterministic:
        raise DoesNotApply("deterministic is declared false")


REPEATS = (determinism_calls, determinism_processes)
