"""Nearest neighbours in the embedding table, against SciPy's distances."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from penjing.core.errors import CheckpointError
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import FamilyName, ModelConfig
from penjing.model.embeddings import Embeddings, Measure, read_embeddings
from penjing.model.families import FAMILIES, build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(50, 8)).astype(np.float32) + 1


@pytest.mark.parametrize(
    ("measure", "metric", "sign"), [("cosine", "cosine", -1), ("distance", "euclidean", 1)]
)
@pytest.mark.parametrize("centred", [False, True])
def test_neighbours_are_those_of_scipy(
    measure: Measure, metric: str, sign: int, centred: bool
) -> None:
    table = TABLE - TABLE.mean(axis=0) if centred else TABLE
    far = cdist(table, table[7][None], metric)[:, 0]
    found = Embeddings(TABLE, centred=centred).nearest(7, 49, measure)
    order = [each.id for each in found.nearest]
    assert order == [id for id in np.argsort(far).tolist() if id != 7]
    scores = far if sign == 1 else 1 - far
    assert [each.score for each in found.nearest] == pytest.approx(scores[order], abs=1e-5)
    others = np.delete(scores, 7)
    assert (found.mean, found.deviation) == pytest.approx((others.mean(), others.std()), abs=1e-5)
    assert found.norm == pytest.approx(np.linalg.norm(table[7]), rel=1e-5)


def test_products() -> None:
    found = Embeddings(TABLE).nearest(3, 5, "dot")
    products = TABLE @ TABLE[3]
    products[3] = -np.inf
    assert [each.id for each in found.nearest] == np.argsort(-products)[:5].tolist()


def test_equals_go_by_number_and_a_zero_is_like_no_other() -> None:
    table = np.array([[1, 0], [1, 0], [0, 0], [1, 0]], np.float32)
    found = Embeddings(table).nearest(1, 10)
    assert [(each.id, each.score) for each in found.nearest] == [(0, 1.0), (3, 1.0), (2, 0.0)]
    assert all(each.score == 0 for each in Embeddings(table).nearest(2).nearest)


def test_bfloat16_is_read_as_such() -> None:
    values = torch.from_numpy(TABLE).bfloat16()
    bits = values.view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(Embeddings(bits).table, values.float().numpy())


def test_what_is_no_number_is_said() -> None:
    broken = TABLE.copy()
    broken[3, 3] = np.nan
    with pytest.raises(CheckpointError, match="not finite"):
        Embeddings(broken)
    with pytest.raises(CheckpointError, match="no row 50"):
        Embeddings(TABLE).nearest(50)


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("tied", [False, True])
def test_the_tables_of_every_family(tmp_path, family: FamilyName, tied: bool) -> None:
    config = ModelConfig(
        family=family, vocab_size=300, context_length=16, n_layer=1, n_embd=32, tie_embeddings=tied
    )
    model = build_model(config, seed=1)
    tokenizer = train_tokenizer([], TokenizerConfig(kind="byte"))
    save_checkpoint(tmp_path / "m", model=model, tokenizer=tokenizer)
    checkpoint = Checkpoint.open(tmp_path / "m")
    for which, weight in (("embedding", model.embedding), ("head", model.unembedding)):
        table = weight.weight.detach().float().numpy()[:257]  # the rest are no tokens
        np.testing.assert_array_equal(read_embeddings(checkpoint, which).table, table)


@pytest.mark.network
def test_a_real_model_knows_who_is_near_a_king(smollm2) -> None:
    from penjing.formats.opening import open_checkpoint

    checkpoint = open_checkpoint(smollm2)
    (king,) = checkpoint.tokenizer.encode(" king")
    found = read_embeddings(checkpoint).nearest(king, 6)
    near = {checkpoint.tokenizer.token_text(each.id) for each in found.nearest}
    assert {" King", " kings", " queen"} <= near and found.nearest[0].score > found.mean + 0.5
