"""PESQ and STOI by their reference packages, with every odd answer of theirs turned into a status."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np

from codecbench.contracts.metric import Status
from codecbench_reconstruction.pairs import NoValue, PairMetric, PairScorer, require_sound
from codecbench_reconstruction.specs import SAMPLE_RATE_HZ
from codecbench_reconstruction.utterances import most_utterances

PESQ_MIN_SAMPLES = SAMPLE_RATE_HZ // 4
PESQ_MAX_SECONDS = 120.0
# The C code keeps 50 utterances in fixed arrays and writes past them without a check: a crash or a wrong value.
PESQ_MAX_UTTERANCES = 50
# An utterance is at least 200 ms of speech and a pause of 200 ms, so shorter signals cannot hold more than 50.
PESQ_SAFE_SECONDS = 20.0
# pystoi needs 30 frames of 256 samples, 128 apart, at 10 kHz, and its framing leaves out a last one twice.
STOI_MIN_SAMPLES = -(-(256 + 30 * 128 + 1) * SAMPLE_RATE_HZ // 10000)


def pesq(reference: np.ndarray, output: np.ndarray, mode: str) -> float:
    """Return the MOS-LQO of two signals [T] at 16 kHz, ``mode`` "wb" or "nb".

    Raises NoValue: too_short below 0.25 s, ref_silent without speech, out_silent, not_applicable for signals that
    the reference code cannot hold. Source: ITU-T P.862, P.862.1, P.862.2 (package pesq).
    """
    from pesq import BufferTooShortError, NoUtterancesError
    from pesq import pesq as backend

    _check_pesq_length(reference)
    require_sound(output)
    try:
        return float(backend(SAMPLE_RATE_HZ, reference, output, mode))
    except BufferTooShortError as error:
        raise NoValue(Status.TOO_SHORT, "PESQ needs at least 0.25 s") from error
    except NoUtterancesError as error:
        raise NoValue(Status.REF_SILENT, "PESQ finds no speech in the reference") from error


def _check_pesq_length(reference: np.ndarray) -> None:
    seconds = len(reference) / SAMPLE_RATE_HZ
    if len(reference) < PESQ_MIN_SAMPLES:
        raise NoValue(Status.TOO_SHORT, f"PESQ needs at least 0.25 s, this is {seconds:.3f} s")
    if seconds > PESQ_MAX_SECONDS:
        reason = f"PESQ is made for excerpts of 8 to 30 s; {seconds:.0f} s is over the limit of {PESQ_MAX_SECONDS:g} s"
        raise NoValue(Status.NOT_APPLICABLE, reason)
    if seconds > PESQ_SAFE_SECONDS and (count := most_utterances(reference)) > PESQ_MAX_UTTERANCES:
        reason = f"PESQ's reference code holds {PESQ_MAX_UTTERANCES} utterances; this signal may have {count}"
        raise NoValue(Status.NOT_APPLICABLE, reason)


def stoi(reference: np.ndarray, output: np.ndarray, extended: bool) -> float:
    """Return STOI (or ESTOI) of two signals [T] at 16 kHz.

    Raises NoValue: out_silent (the correlation with silence does not exist), too_short with fewer than 30 frames
    left after silence removal, where the package returns 1e-5.
    Source: Taal et al. 2011; Jensen & Taal 2016 (package pystoi).
    """
    from pystoi import stoi as backend

    if len(reference) < STOI_MIN_SAMPLES:
        reason = f"STOI needs at least {STOI_MIN_SAMPLES / SAMPLE_RATE_HZ:.3f} s"
        raise NoValue(Status.TOO_SHORT, reason)
    require_sound(output)
    # The package adds noise from NumPy's global generator to ESTOI: seeded, so that a value repeats, then put back.
    state = np.random.get_state()
    np.random.seed(0)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
            return float(backend(reference.astype(np.float64), output.astype(np.float64), SAMPLE_RATE_HZ, extended))
    except RuntimeWarning as warning:
        raise NoValue(Status.TOO_SHORT, "fewer than 30 frames (0.4 s) of the reference are speech") from warning
    finally:
        np.random.set_state(state)


def make_pesq_scorer() -> PairScorer:
    """Return the scorer of PESQ-WB and PESQ-NB."""
    return PairScorer(
        (PairMetric("pesq_wb", partial(pesq, mode="wb")), PairMetric("pesq_nb", partial(pesq, mode="nb")))
    )


def make_stoi_scorer() -> PairScorer:
    """Return the scorer of STOI and ESTOI."""
    return PairScorer(
        (PairMetric("stoi", partial(stoi, extended=False)), PairMetric("estoi", partial(stoi, extended=True)))
    )
