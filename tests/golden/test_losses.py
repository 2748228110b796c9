"""Training as it was: a change of these losses is a change of what is computed.

If it is meant, print the new ones with `python -m pytest tests/golden -s` and put them here.
"""

from pathlib import Path

import pytest

from penjing.core.events import Event
from penjing.model.config import ModelConfig
from penjing.tokenizer.config import TokenizerConfig
from penjing.train.config import DataConfig, OptimizerConfig, PretrainConfig, TrainConfig
from penjing.train.pretrain import pretrain

# Losses of steps 1, 10, 20 and 30, and of the validation split after them.
GOLDEN = {
    "qwen3-muon": [5.6412, 1.4297, 0.932, 0.7155, 0.734],
    "llama-adamw": [5.5554, 1.9455, 1.3992, 1.0142, 0.9665],
    "gpt2-adamw": [5.5637, 2.6907, 1.4932, 1.2451, 1.2301],
}
MODELS = {
    "qwen3": ModelConfig(family="qwen3", n_head=4, n_kv_head=2, head_dim=16, context_length=32),
    "llama": ModelConfig(family="llama", n_head=4, tie_embeddings=False, context_length=32),
    "gpt2": ModelConfig(family="gpt2", n_head=4, context_length=32),
}


def text() -> str:
    """Something to learn: sums, in words and figures, in a fixed order."""
    rows = [(a * 7 % 50, a * 11 % 30) for a in range(1, 400)]
    return "".join(f"{a} and {b} make {a + b}; 甲{a}乙{b}\n" for a, b in rows)


@pytest.mark.parametrize("name", GOLDEN)
def test_losses(name: str, tmp_path: Path) -> None:
    family, optimizer = name.split("-")
    (tmp_path / "sums.txt").write_text(text(), encoding="utf-8")
    config = PretrainConfig(
        data=DataConfig(sources=(str(tmp_path / "sums.txt"),), validation_fraction=0.1),
        tokenizer=TokenizerConfig(kind="byte"),
        model=MODELS[family],
        train=TrainConfig(
            steps=30,
            batch_size=8,
            short_contexts=(16,),
            precision="float32",
            threads=1,
            optimizer=OptimizerConfig(name=optimizer),  # type: ignore[arg-type]
            eval_every=0,
        ),
    )
    events: list[Event] = []
    run = pretrain(config, out=tmp_path / "run", listeners=[events.append])
    losses = [e.data["loss"] for e in events if e.kind == "step"] + [run.figures["loss"]]
    print(f'\n    "{name}": {[round(loss, 4) for loss in losses]},')
    assert losses == pytest.approx(GOLDEN[name], abs=0.02)
