"""Feature-level distillation: the quantized semantic stream is pulled towards averaged teacher features.

What SpeechTokenizer and Mimi do, and the baseline of LM-SPT's own ablation (arXiv 2506.16738, Table 3).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

FeatureDistance = Literal["cosine", "mse", "d-axis"]


def pool_to_frames(features: Tensor, frames: int) -> Tensor:
    """Average teacher features ``[B, F_t, D]`` down to ``frames`` token frames: ``[B, frames, D]``.

    Token frame f averages the teacher frames that it covers, for any ratio of the two rates.
    """
    return F.adaptive_avg_pool1d(features.transpose(1, 2), frames).transpose(1, 2)


def feature_distillation_loss(
    prediction: Tensor, features: Tensor, num_frames: Tensor, distance: FeatureDistance
) -> Tensor:
    """Distance between ``prediction[B, F, D]`` and pooled teacher ``features[B, F_t, D]`` for each utterance, ``[B]``.

    Means over the valid frames ``num_frames[B]``. ``cosine``: one minus the cosine at each frame (Mimi, arXiv
    2410.00037). ``mse``: mean squared error. ``d-axis``: ``-log sigmoid(cos)`` of every feature dimension along time
    (SpeechTokenizer, arXiv 2308.16692, Eq. 1).
    """
    target = pool_to_frames(features, prediction.shape[1]).detach()
    valid = torch.arange(prediction.shape[1], device=prediction.device)[None, :] < num_frames[:, None]
    mask = valid.to(prediction.dtype)
    if distance == "d-axis":
        along_time = F.cosine_similarity(prediction * mask[..., None], target * mask[..., None], dim=1)
        return -F.logsigmoid(along_time).mean(dim=1)
    if distance == "cosine":
        error = 1 - F.cosine_similarity(prediction, target, dim=2)
    else:
        error = (prediction - target).square().mean(dim=2)
    return (error * mask).sum(dim=1) / mask.sum(dim=1).clamp_min(1)
