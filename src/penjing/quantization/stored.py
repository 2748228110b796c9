"""What of a checkpoint is quantized, and what is not: nothing is left out silently."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Quantization:
    """How a checkpoint keeps its weights. Names are those of the tensors at Hugging Face."""

    method: str  # "compressed-tensors", "gguf"
    schemes: Mapping[str, str]  # quantized tensor -> its scheme's name
    kept: Mapping[str, str]  # all others -> their type, such as "BF16"
    activations: frozenset[str] = field(default_factory=frozenset)  # inputs are quantized as well

    @property
    def described(self) -> str:
        """How many tensors are kept in which way: "gguf: 211 Q4_1, 61 F32"."""
        counts = Counter(self.schemes.values()), Counter(self.kept.values())
        words = [f"{n} {name}" for part in counts for name, n in part.most_common()]
        return f"{self.method}: {', '.join(words)}"
