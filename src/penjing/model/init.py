"""How random weights begin."""

from typing import Literal

import torch
from torch import nn

from penjing.model.base import LanguageModel

InitName = Literal["scaled", "zero"]

STD = 0.02
RECURRENCE = "recurrent.weight"  # it is applied once for every token
RESIDUAL = ("attention.output.weight", "feed_forward.down.weight")  # they write to the stream


@torch.no_grad()
def initialize(model: LanguageModel, init: InitName, generator: torch.Generator) -> None:
    """Fill every parameter in place; what is drawn depends on the generator alone.

    "scaled" is GPT-2's: normal with std 0.02, and 0.02 / sqrt(2 * n_layer) for the matrices that
    write to the residual stream, so that its variance does not grow with depth (Radford et al.
    2019, section 2.3). "zero" starts those matrices, and an untied head, at zero: each block begins
    as the identity (Zhang et al. 2019, Fixup; Yang et al. 2022 for the head).

    Both start the matrices of a recurrence orthogonal, gate by gate (Saxe et al. 2013), and an
    LSTM's forget gate at 1, without which it learns to recall nothing far (Jozefowicz et al. 2015).
    """
    tied = model.config.tie_embeddings
    for name, parameter in model.named_parameters():
        residual = name.endswith(RESIDUAL)
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
            if model.config.family == "lstm":
                nn.init.ones_(parameter.chunk(4)[1])  # the forget gate
        elif name.endswith(RECURRENCE):
            for gate in torch.split(parameter, parameter.size(1)):
                nn.init.orthogonal_(gate, generator=generator)
        elif "norm" in name:
            nn.init.ones_(parameter)
        elif init == "zero" and (residual or (name == "unembedding.weight" and not tied)):
            nn.init.zeros_(parameter)
        else:
            std = STD / (2 * model.config.n_layer) ** 0.5 if residual else STD
            nn.init.normal_(parameter, std=std, generator=generator)
