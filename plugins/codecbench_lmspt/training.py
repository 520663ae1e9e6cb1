"""What one training step needs from the model: the forward pass with every intermediate that a loss looks at.

The trainer calls ``model.training_forward(audio, num_samples=..., step=..., sample_index=..., seed=...)`` and gets a
:class:`TrainingOutput`; it owns the losses, this file owns how their inputs are made (LM-SPT, arXiv 2506.16738, §3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from codecbench.audio.resample import resample_tensor
from codecbench_lmspt import random_draws
from codecbench_lmspt.codebook import StepContext
from codecbench_lmspt.convnext import LogSpectrogram
from codecbench_lmspt.decoders import VocosDecoder
from codecbench_lmspt.flow import Flow
from codecbench_lmspt.framing import frame_signal
from codecbench_lmspt.spec import ModelSpec
from codecbench_lmspt.stages import Decoder

if TYPE_CHECKING:
    from codecbench_lmspt.model import LMSPT

#: Of a full-scale sine: -80 dB, as in the encoders' features. Below it a pitch is the recorder's hum.
PITCH_FLOOR = LogSpectrogram.FLOOR


@dataclass(frozen=True)
class StreamLosses:
    """One quantizer loss per stream and utterance.

    Each is ``[B]``: mean over code dimensions and valid frames of each utterance, summed over the codebooks that the
    utterance kept under codebook dropout. Average over the global batch (mean here, mean over ranks) for the loss.
    """

    semantic: Tensor
    acoustic: Tensor

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """The streams' names and losses, in the order of the codebooks."""
        yield "semantic", self.semantic
        yield "acoustic", self.acoustic


@dataclass(frozen=True)
class CodebookUsage:
    """How often each entry of each codebook was chosen in this forward on this rank, by kept books and valid frames.

    ``counts[k]`` is ``[N_k]`` (float, so that it can be all-reduced with SUM): book 0 is the semantic one.
    """

    counts: tuple[Tensor, ...]


@dataclass(frozen=True)
class Spectrum:
    """Magnitudes that a decoder predicted, before any phase, beside those of the original at the same frames.

    ``log_magnitude[B, F, bins]`` (natural), ``target[B, F, bins]`` (magnitudes, detached), ``valid[B, F]``; the bins
    are equally spaced from 0 to half of ``sample_rate_hz``. A full-scale sine has a magnitude of ``full_scale``.
    Of a decoder that chooses harmonics: ``pitch_logits[B, F, candidates]``, and the original's ``pitch_target`` of the
    same shape, a distribution times the frame's voicing (detached).
    """

    log_magnitude: Tensor
    target: Tensor
    valid: Tensor
    sample_rate_hz: int
    full_scale: float
    pitch_logits: Tensor | None = None
    pitch_target: Tensor | None = None


@dataclass(frozen=True)
class TrainingOutput:
    """Everything that the losses of one step look at.

    Shapes: ``reconstruction[B, 1, T]`` at the model's sample rate, as long as the input;
    ``semantic_resynthesis[B, 1, T']`` at ``semantic_resynthesis_rate_hz``, T' = round(T * that rate / sample rate);
    ``semantic_latent[B, D, F]`` the quantized semantic stream (straight-through); ``codes[B, K, F]`` int64;
    ``num_frames[B]``; ``kept_codebooks[B]`` how many of the K books each utterance kept (1 = semantic only).
    ``semantic_features[B, F, teacher_dim]`` is the projection head's output for feature-level distillation, or None
    where the preset has none (``training.distillation_head_dim = 0``); the resynthesis is None where the decoder alone
    is trained. ``spectrum`` and ``semantic_spectrum``: what the main and the auxiliary decoder's inverse STFTs are made
    of; None for decoders without one.
    """

    reconstruction: Tensor
    semantic_resynthesis: Tensor | None
    semantic_resynthesis_rate_hz: int
    semantic_latent: Tensor
    semantic_features: Tensor | None
    commitment: StreamLosses
    codebook: StreamLosses
    codes: Tensor
    num_frames: Tensor
    kept_codebooks: Tensor
    usage: CodebookUsage
    spectrum: Spectrum | None
    semantic_spectrum: Spectrum | None


def training_forward(
    model: LMSPT,
    audio: Tensor,
    num_samples: Tensor | None,
    step: int,
    sample_index: Tensor,
    seed: int,
    update_codebooks: bool,
) -> TrainingOutput:
    """One forward pass through the whole model with straight-through quantization and codebook dropout.

    ``audio[B, 1, T]``; ``num_samples[B]`` true lengths (None: all T); ``sample_index[B]`` each row's index in the
    global batch of this ``step``, which together with ``seed`` keys every random draw. With ``update_codebooks`` the
    moving-average codebooks move at the end of this forward; with gradient accumulation pass False and call
    ``model.update_codebooks(step=..., seed=...)`` once per optimizer step. Ranks must call both equally often. Without
    gradients codebooks note nothing; in eval mode every row keeps all books.
    """
    audio = audio if num_samples is None else Flow(num_samples.to(audio.device)).mask(audio)
    padded = F.pad(audio, (0, -audio.shape[-1] % model.hop_samples))
    frames = _frames(audio, num_samples, model.hop_samples)
    lengths = None if bool((frames == padded.shape[-1] // model.hop_samples).all()) else frames
    kept = draw_kept_books(model.spec, step, seed, sample_index).to(audio.device)
    if not model.training:
        kept.fill_(model.spec.quantizer.acoustic_books)
    alone = model.spec.training.decoder_only
    with torch.set_grad_enabled(torch.is_grad_enabled() and not alone):
        semantic, acoustic = model.latents(padded, None if lengths is None else lengths * model.hop_samples)
        valid = Flow(frames).valid(semantic.shape[-1])
        # Searches, residuals and statistics stay in full precision under autocast.
        with torch.autocast(audio.device.type, enabled=False):
            exact = torch.promote_types(semantic.dtype, torch.float32)
            context = StepContext(step, seed, sample_index, valid, learn=torch.is_grad_enabled())
            split = model.quantizer(semantic.to(exact), acoustic.to(exact), kept, context)
    if update_codebooks and context.learn:
        model.update_codebooks(step=step, seed=seed)
    first = split.semantic.latent
    main = (first.detach() if model.spec.training.stop_semantic_gradient else first) + split.acoustic.latent
    head = model.distillation_head
    reconstruction, predicted = _synthesise(model.decoder, main, lengths, audio.shape[-1])
    resynthesis, semantic_predicted = None, Flow(lengths)
    if not alone:
        resynthesis, semantic_predicted = _resynthesise(model, first, lengths, audio.shape[-1])
    return TrainingOutput(
        reconstruction=reconstruction,
        semantic_resynthesis=resynthesis,
        semantic_resynthesis_rate_hz=model.aux_sample_rate_hz,
        semantic_latent=first.transpose(1, 2),
        semantic_features=None if head is None else head(first),
        commitment=StreamLosses(split.semantic.commitment, split.acoustic.commitment),
        codebook=StreamLosses(split.semantic.codebook, split.acoustic.codebook),
        codes=torch.cat([split.semantic.codes, split.acoustic.codes], dim=1),
        num_frames=frames,
        kept_codebooks=kept + 1,
        usage=CodebookUsage(split.usage),
        spectrum=_beside_original(model.decoder, predicted, padded, frames, model.sample_rate_hz),
        semantic_spectrum=_beside_original(
            model.aux_decoder or model.decoder, semantic_predicted, padded, frames, model.sample_rate_hz
        ),
    )


def draw_kept_books(spec: ModelSpec, step: int, seed: int, sample_index: Tensor) -> Tensor:
    """How many acoustic books each row keeps, ``[B]``: all, or a uniform number from 1 (0 for semantic-only rows).

    The official step truncates the first half of each batch; here every row draws for itself by its global index, so
    that the choice does not depend on how the batch is spread over ranks.
    """
    books, training = spec.quantizer.acoustic_books, spec.training

    def kept(index: int) -> int:
        if random_draws.uniform(seed, step, index, "dropout") >= training.codebook_dropout:
            return books
        if random_draws.uniform(seed, step, index, "semantic only") < training.semantic_only_share:
            return 0
        return 1 + int(random_draws.uniform(seed, step, index, "books") * books)

    return torch.tensor([kept(int(index)) for index in sample_index.tolist()])


def _frames(audio: Tensor, num_samples: Tensor | None, hop_samples: int) -> Tensor:
    if num_samples is None:
        num_samples = torch.full((audio.shape[0],), audio.shape[-1])
    return -(-num_samples.to(audio.device) // hop_samples)


def _synthesise(decoder: Decoder, latent: Tensor, lengths: Tensor | None, num_samples: int) -> tuple[Tensor, Flow]:
    """Audio ``[B, 1, num_samples]``, and the flow in which the decoder left what it predicted on the way."""
    flow = Flow(lengths)
    audio: Tensor = decoder(flow.mask(latent.transpose(1, 2)), flow)
    return F.pad(audio, (0, max(0, num_samples - audio.shape[-1])))[..., :num_samples], flow


def _resynthesise(model: LMSPT, semantic: Tensor, lengths: Tensor | None, num_samples: int) -> tuple[Tensor, Flow]:
    decoder = model.aux_decoder if model.aux_decoder is not None else model.decoder
    samples = round(num_samples * decoder.sample_rate_hz / model.sample_rate_hz)
    if model.spec.training.aux_gradient:
        return _synthesise(decoder, semantic, lengths, samples)
    # "Shared, no gradient to it" (paper, Table 4): the loss passes through the decoder without training it.
    fixed = {name: parameter.detach() for name, parameter in decoder.named_parameters()}
    flow = Flow(lengths)
    audio: Tensor = torch.func.functional_call(decoder, fixed, (flow.mask(semantic.transpose(1, 2)), flow))
    return F.pad(audio, (0, max(0, samples - audio.shape[-1])))[..., :samples], flow


@torch.no_grad()
def _target_magnitude(decoder: VocosDecoder, audio: Tensor, rate_hz: int) -> Tensor:
    """Magnitudes ``[B, F, bins]`` of hop-padded ``audio[B, 1, T]`` at the frames of a decoder's inverse STFT."""
    head, flat = decoder.head, audio[:, 0].to(torch.promote_types(audio.dtype, torch.float32))
    flat = resample_tensor(flat, rate_hz, decoder.sample_rate_hz)
    frames = frame_signal(flat, head.fft_samples, head.hop_samples) * head.window.to(flat.dtype)
    return torch.fft.rfft(frames, dim=-1).abs()


def _beside_original(decoder: Decoder, predicted: Flow, audio: Tensor, frames: Tensor, rate_hz: int) -> Spectrum | None:
    if predicted.log_magnitude is None or not isinstance(decoder, VocosDecoder):
        return None
    target, head = _target_magnitude(decoder, audio, rate_hz), decoder.head
    valid = Flow(frames * decoder.upsample).valid(predicted.log_magnitude.shape[1])
    spectrum = Spectrum(predicted.log_magnitude, target, valid, decoder.sample_rate_hz, head.full_scale)
    if decoder.comb is None:
        return spectrum
    levels = (target + PITCH_FLOOR * head.full_scale).log()
    return replace(
        spectrum, pitch_logits=predicted.pitch_logits, pitch_target=decoder.comb.salience.target(levels).detach()
    )
