"""What can go wrong in a run, by name, and what to do about it. A cause's sign is in `signs`."""

from dataclasses import dataclass
from typing import Literal

from penjing.core.table import Table
from penjing.train.config import TrainConfig

Severity = Literal["note", "warning", "error"]

# How far a rate is moved at first: about the root of ten, half a step on the range test's axis.
RATE_STEP = 3.0


@dataclass(frozen=True)
class Cause:
    """A named cause. `{lower}` and `{higher}` in the remedy become the run's own rates, moved."""

    title: str
    remedy: str


CAUSES: Table[Cause] = Table(
    "cause",
    {
        "nonfinite": Cause(
            "a number that is not finite",
            "Look at that batch's text; lower the rates ({lower}); try train.precision float32. "
            "train.on_nonfinite can skip such a batch or roll back to the last checkpoint.",
        ),
        "divergence": Cause(
            "the loss diverged",
            "Go back to the best checkpoint, which is kept, and lower the rates ({lower}), or "
            "lengthen train.schedule.warmup_steps.",
        ),
        "rate_too_high": Cause(
            "the learning rate is too high",
            "Lower the rates ({lower}), or lengthen train.schedule.warmup_steps; "
            "`penjing pretrain ... --range-test` shows which rates this model bears.",
        ),
        "rate_too_low": Cause(
            "the learning rate is too low",
            "Raise the rates ({higher}); `penjing pretrain ... --range-test` shows which rates "
            "this model bears. If they are as you want them, raise train.steps.",
        ),
        "plateau": Cause(
            "the loss stays at the unigram level",
            "The model knows how common each token is, and nothing of their order. If the bigram "
            "baseline is far below the unigram, lower the rates ({lower}) and lengthen "
            "train.schedule.warmup_steps; if it is not, the text has no order to learn: look at "
            "what was read (`penjing data`).",
        ),
        "overfitting": Cause(
            "overfitting",
            "The best checkpoint is kept. Add text; or set model.dropout to 0.1 or 0.2 and "
            "train.optimizer.weight_decay to 0.1; or lower train.steps; or choose a smaller model.",
        ),
        "above_band": Cause(
            "the loss ended above what such runs reach",
            "Find the best rates with `penjing pretrain ... --range-test`; see that the text is "
            "what it should be (`penjing data`).",
        ),
        "exploding_gradients": Cause(
            "exploding gradients",
            "Set train.optimizer.grad_clip to 1.0 if it is 0, lower the rates ({lower}), lengthen "
            "train.schedule.warmup_steps, and see that train.init and the model's start are sound.",
        ),
        "vanishing_gradients": Cause(
            "vanishing gradients",
            "These layers hardly learn. See whether the weights of a layer below them are far "
            "larger than the rest, so that the residual stream drowns what they add; choose fewer "
            "layers (model.n_layer), or a family with norms (qwen3).",
        ),
        "dead_neurons": Cause(
            "dead neurons",
            "They cost time and memory and add nothing. Lower the rates ({lower}) so that no step "
            "throws them out of reach; choose a smaller model.n_inner, or a gated family (qwen3).",
        ),
        "duplicate_data": Cause(
            "much of the text is there twice",
            "Copies were left out, so the text is smaller than its files. Remove them from "
            "data.sources, and add text that says something else.",
        ),
        "leak": Cause(
            "the validation text was trained on",
            "The validation loss is too good to be true. Remove repeated passages from "
            "data.sources, or validate on documents that are whole and of another origin.",
        ),
        "repeated_data": Cause(
            "the text is passed over many times",
            "Four passes are nearly as good as new text; then each teaches less, and after forty "
            "hardly anything (Muennighoff et al. 2023). Add text, or lower train.steps.",
        ),
        "too_little_data": Cause(
            "too little text for this model",
            "Expect it to learn the text by heart. Add text; or lower model.n_layer or "
            "train.steps; or set model.dropout to 0.1 or 0.2.",
        ),
        "slowdown": Cause(
            "training became slow",
            "See what else runs on this machine, and whether it is hot or out of memory.",
        ),
    },
)


def remedy(cause: str, config: TrainConfig | None) -> str:
    """The cause's remedy, with figures where the run's settings are known."""
    return CAUSES[cause].remedy.format(
        lower=_rates(config, 1 / RATE_STEP), higher=_rates(config, RATE_STEP)
    )


def _rates(config: TrainConfig | None, factor: float) -> str:
    if config is None:
        times = f"{RATE_STEP:g} times" if factor > 1 else f"1/{RATE_STEP:g} of"
        return f"train.optimizer.lr and muon_lr to {times} what they are"
    optimizer = config.optimizer
    text = f"train.optimizer.lr {optimizer.lr * factor:.2g}"
    if optimizer.name == "muon":
        text += f", train.optimizer.muon_lr {optimizer.muon_lr * factor:.2g}"
    return text
