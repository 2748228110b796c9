"""Rows for new tokens, in the embedding table and in the head."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from penjing.model.base import LanguageModel
from penjing.model.families import rebuild

TABLES = ("embedding.weight", "unembedding.weight")


def extend_vocabulary(
    model: LanguageModel, first: int, pieces: Sequence[Sequence[int]]
) -> LanguageModel:
    """A model that has the tokens `first`, `first` + 1, ... too; the other weights are shared.

    `pieces` are, for each new token, the old ids that it replaces. Its row is the mean of theirs
    (Gee et al. 2022, Fast Vocabulary Transfer), or the mean of all old rows where there are none:
    then its logit is never far above the others (Hewitt 2021, Initializing New Word Embeddings).
    A table that has more rows than the old vocabulary, as padding, gives these away first.
    """
    state = model.state_dict()
    grown = {name: _with_rows(state[name], first, pieces) for name in TABLES}
    size = max(model.config.vocab_size, first + len(pieces))
    return rebuild(replace(model.config, vocab_size=size), {**state, **grown})


def _with_rows(table: Tensor, first: int, pieces: Sequence[Sequence[int]]) -> Tensor:
    """(V, C) -> (max(V, first + n), C)."""
    old = table[:first].float()
    lengths = torch.tensor([len(ids) for ids in pieces], device=table.device)
    flat = torch.tensor([id for ids in pieces for id in ids], device=table.device)
    rows = F.embedding_bag(flat.long(), old, lengths.cumsum(0) - lengths, mode="mean")  # (n, C)
    rows[lengths == 0] = old.mean(dim=0)
    grown = table.new_zeros(max(len(table), first + len(rows)), table.size(1))
    grown[: len(table)] = table
    grown[first : first + len(rows)] = rows.to(table.dtype)
    return grown
