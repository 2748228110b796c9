"""What a model is: its family and sizes, frozen. No torch here, so that settings load at once."""

from dataclasses import dataclass, replace
from typing import Literal

from penjing.core.errors import ConfigError

FamilyName = Literal["gpt2", "llama", "qwen3", "rnn", "lstm"]
PositionName = Literal["auto", "learned", "sinusoidal", "rope", "alibi", "none"]
RopeScalingName = Literal["none", "linear", "ntk", "yarn", "llama3"]

RECURRENT: tuple[FamilyName, ...] = ("rnn", "lstm")

LARGEST = {"n_layer": 10_000, "context_length": 1 << 30, "other": 10_000_000}


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of one model. Zeros are filled in by `resolve`: they follow from the others.

    rnn and lstm read one token after the other: they have no heads, no feed-forward network and no
    positions. Whatever is set for these does nothing there, and `resolve` says so: sizes become 0,
    the position "none". Their sizes are n_layer and n_embd, which is also the size of a state.

    Raises:
        ConfigError: sizes that do not fit together, from `resolve`.
    """

    family: FamilyName = "qwen3"  # the form of the network
    vocab_size: int = 0  # rows of the embedding table; from the tokenizer
    context_length: int = 256  # T: positions that it is trained on
    n_layer: int = 4  # the dial: the other sizes follow from it
    n_embd: int = 0  # C: width of the residual stream; 0: 64 for every layer
    n_head: int = 0  # H: query heads; 0: one for every 64 channels
    n_kv_head: int = 0  # key/value heads, shared by groups of query heads; 0: n_head
    head_dim: int = 0  # D: channels of one head; 0: n_embd / n_head
    n_inner: int = 0  # width of the feed-forward network; 0: the family's usual ratio
    position: PositionName = "auto"  # how order is told; auto: learned for gpt2, else rope
    rope_theta: float = 10000.0  # base of RoPE's wavelengths
    rope_scaling: RopeScalingName = "none"  # how RoPE is stretched beyond the trained length
    rope_factor: float = 1.0  # by how much; 1 with "none"
    rope_original_context: int = 0  # the trained length; 0: context_length / rope_factor
    norm_eps: float = 1e-6  # added under the root in each norm
    dropout: float = 0.0  # share of values dropped in training
    tie_embeddings: bool = True  # one table for the embeddings and the head
    attention_bias: bool = False  # llama, qwen3: biases in attention (gpt2 has them everywhere)

    def resolve(self) -> "ModelConfig":
        """The same model with every size spelled out and checked."""
        full = self._recurrent() if self.family in RECURRENT else self._transformer()
        full._check()
        return full

    def with_context(self, context_length: int, scaling: RopeScalingName = "none") -> "ModelConfig":
        """The same weights at another length: only the context and RoPE's scaling change.

        The scaling's factor is the new length over the trained one, and 1 if that is not longer.
        """
        trained = self.rope_original_context or self.context_length
        stretched = scaling != "none"
        return replace(
            self,
            context_length=context_length,
            rope_scaling=scaling,
            rope_factor=max(1.0, context_length / trained) if stretched else 1.0,
            rope_original_context=trained if stretched else 0,
        ).resolve()

    def _transformer(self) -> "ModelConfig":
        gpt2 = self.family == "gpt2"
        own: PositionName = "learned" if gpt2 else "rope"
        n_embd = self.n_embd or 64 * self.n_layer
        n_head = self.n_head or max(1, n_embd // 64)
        # 8/3 would keep the parameters of GPT-2's 4 with three matrices instead of two; at 5/2 gate
        # and up together are five squares (see Muon). A multiple of 32, the block size of the
        # common quantized formats.
        n_inner = self.n_inner or (4 * n_embd if gpt2 else max(32, round(n_embd * 5 / 64) * 32))
        original = self.rope_original_context
        if self.rope_scaling != "none" and not original and self.rope_factor >= 1:
            original = max(1, round(self.context_length / self.rope_factor))
        return replace(
            self,
            n_embd=n_embd,
            n_head=n_head,
            n_kv_head=self.n_kv_head or n_head,
            head_dim=self.head_dim or n_embd // n_head,
            n_inner=n_inner,
            position=own if self.position == "auto" else self.position,
            rope_original_context=original,
        )

    def _recurrent(self) -> "ModelConfig":
        return replace(
            self,
            n_embd=self.n_embd or 64 * self.n_layer,
            n_head=0,
            n_kv_head=0,
            head_dim=0,
            n_inner=0,
            position="none",
            rope_scaling="none",
            rope_factor=1.0,
            rope_original_context=0,
            attention_bias=False,
        )

    def _check(self) -> None:
        sizes = ["vocab_size", "context_length", "n_layer", "n_embd"]
        if self.family not in RECURRENT:
            sizes += ["n_head", "n_kv_head", "head_dim", "n_inner"]
        for name in sizes:
            if not 1 <= getattr(self, name) <= LARGEST.get(name, LARGEST["other"]):
                raise ConfigError(
                    f"model.{name} must be at least 1 and not absurdly large, "
                    f"got {getattr(self, name)}."
                )
        for name in ("norm_eps", "rope_theta"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"model.{name} must be above 0, got {getattr(self, name)}.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"model.dropout must be from 0 to below 1, got {self.dropout}.")
        if self.family not in RECURRENT:
            self._check_heads()
            self._check_rope_scaling()

    def _check_heads(self) -> None:
        if self.n_head % self.n_kv_head:
            raise ConfigError(
                f"model.n_head ({self.n_head}) must be a multiple of "
                f"model.n_kv_head ({self.n_kv_head})."
            )
        if self.position == "rope" and self.head_dim % 2:
            raise ConfigError(
                f"RoPE turns pairs of channels: model.head_dim ({self.head_dim}) must be even."
            )
        if self.family == "gpt2" and (
            self.n_kv_head != self.n_head or self.head_dim * self.n_head != self.n_embd
        ):
            raise ConfigError(
                "A gpt2 model has n_kv_head = n_head and n_head * head_dim = n_embd; "
                f"got n_head {self.n_head}, n_kv_head {self.n_kv_head}, head_dim {self.head_dim}, "
                f"n_embd {self.n_embd}."
            )

    def _check_rope_scaling(self) -> None:
        if self.rope_scaling == "none":
            if self.rope_factor != 1 or self.rope_original_context:
                raise ConfigError(
                    "model.rope_factor and model.rope_original_context say by how much RoPE is "
                    "stretched, but model.rope_scaling is 'none': choose how with "
                    "model.rope_scaling (linear, ntk, yarn), or leave them out."
                )
            return
        if self.position != "rope":
            raise ConfigError(
                f"model.rope_scaling is {self.rope_scaling!r}, but model.position is "
                f"{self.position!r}: only RoPE can be stretched."
            )
        if not 1 <= self.rope_factor <= 1e6:
            raise ConfigError(
                f"model.rope_factor must be from 1 to 1e6, got {self.rope_factor}: the new "
                "context over the trained one."
            )
        if not 1 <= self.rope_original_context <= LARGEST["context_length"]:
            raise ConfigError(
                f"model.rope_original_context must be at least 1, got {self.rope_original_context}."
            )
        if self.rope_scaling == "ntk" and self.head_dim < 4:
            raise ConfigError("NTK scaling needs model.head_dim of at least 4.")
        if self.rope_scaling == "yarn" and self.rope_theta <= 1:
            raise ConfigError("YaRN needs model.rope_theta above 1.")
