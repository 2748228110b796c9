"""AWQ: make the weights that matter larger before rounding, and their inputs smaller.

Lin et al. 2023. A few input channels are much louder than the others, and the error of their
weights is what one hears. Multiplying column k of W by s_k and dividing input k by it changes
nothing, but the rounding error of that column counts 1/s_k as much. The search is over one number:
s = |x|^alpha, with the alpha that gives the smallest error of the outputs. The division is folded
into the norm or the matrix before, so the stored model needs no new operation.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from penjing.quantization.tensor import QuantizedTensor
from penjing.transform.hessian import Inputs, output_error
from penjing.transform.rounder import Rounder

ALPHAS = tuple(n / 20 for n in range(20))  # 0: all channels alike, which is plain rounding
RATIOS = tuple(1 - n / 20 for n in range(11))  # of the range that is kept when clipping: 1 to 0.5


def search_scale(
    parts: Sequence[tuple[Tensor, Rounder]], inputs: Inputs, share: Tensor | None = None
) -> Tensor:
    """The scale (K,) of the input channels that gives the smallest error of the outputs.

    `parts` are all the matrices (N, K) that read these inputs, each with its scheme. `share` (K,)
    numbers the channels that must have one scale in common. All ones, if nothing is gained.
    """
    loud = inputs.magnitude if share is None else _means(inputs.magnitude, share)
    best, least = torch.ones_like(loud), float("inf")
    for alpha in ALPHAS:
        scale = loud.clamp(min=1e-4) ** alpha
        scale = scale / (scale.amax() * scale.amin()).sqrt()
        error = 0.0
        for weight, rounder in parts:
            rounded = rounder.nearest(weight * scale) / scale
            error += output_error(rounded - weight, inputs.hessian)
        if error < least:
            best, least = scale, error
    return best


def _means(values: Tensor, share: Tensor) -> Tensor:
    """Each value (K,) replaced by the mean of those with the same number in `share` (K,)."""
    total = torch.zeros(int(share.max()) + 1).index_add_(0, share, values)
    return (total / torch.bincount(share))[share]


def clip(weight: Tensor, hessian: Tensor, rounder: Rounder) -> QuantizedTensor:
    """Round `weight` (N, K) with, for each scale, the range that gives the smallest output error.

    Weights beyond a smaller range lose more, all others less: the steps are finer. The errors of
    two groups are taken to be independent, as in the paper.
    """
    rows, columns = weight.shape
    group = rounder.group(columns)
    weight = weight.float()
    w = weight.view(rows, -1, group)  # (N, G, g)
    blocks = hessian.view(columns // group, group, columns // group, group)
    h = torch.stack([blocks[g, :, g] for g in range(len(blocks))])  # (G, g, g)
    low, high = w.amin(-1, keepdim=True), w.amax(-1, keepdim=True)
    least = torch.full(w.shape[:2], torch.inf)
    scale, zero = rounder.fit(weight)
    for ratio in RATIOS:
        clipped = torch.minimum(torch.maximum(w, low * ratio), high * ratio)
        found, shift = rounder.fit(clipped.view(rows, columns))
        delta = (rounder.rounded(weight, found, shift) - weight).view_as(w)
        error = torch.einsum("ngk,gkl,ngl->ng", delta, h, delta)
        if rounder.scheme.granularity == "tensor":  # one range for all
            error = error.sum().expand_as(error)
        better = error < least
        least = torch.where(better, error, least)
        scale, zero = torch.where(better, found, scale), torch.where(better, shift, zero)
    return rounder.quantize(weight, scale, zero)
