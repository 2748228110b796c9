"""The runner that computes with our own kernels, on the weights as they are stored."""

from collections.abc import Sequence

from penjing.core.errors import GenerationError
from penjing.core.garbage import give_back_freed
from penjing.generate.runners.network import build_network
from penjing.generate.runners.runner import Chunk, Past, Runner
from penjing.kernels.cache import KernelCache
from penjing.kernels.features import Isa
from penjing.kernels.program import Program
from penjing.kernels.scores import Scores
from penjing.kernels.vector import LANES
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.machine import available_processors


class KernelRunner(Runner):
    """All chunks in one pass. A row's logits have the same bits whatever is beside it."""

    exact = True
    block = LANES

    def __init__(self, program: Program, config: ModelConfig) -> None:
        self.program, self.config = program, config
        self.name = f"kernels ({program.isa.way}, {program.threads} threads)"
        self.bytes_per_token = program.cache_shape.bytes_per_token

    @classmethod
    def load(cls, checkpoint: Checkpoint, isa: Isa, *, threads: int = 0) -> "KernelRunner":
        """Pack a checkpoint's weights. `threads` 0: as many as there are processors for us.

        Raises:
            CheckpointError: weights are missing, damaged or not finite.
            PenjingError: the kernels don't know the kind of a weight.
        """
        program = Program(
            build_network(checkpoint), isa=isa, threads=threads or available_processors()
        )
        checkpoint.release()
        give_back_freed()
        return cls(program, checkpoint.config)

    def new_past(self, capacity: int) -> Past:
        return self.program.new_cache(capacity)

    def forward(self, chunks: Sequence[Chunk]) -> list[Scores]:
        return self.program.forward([(_own(c.past), c.ids, c.n_logits) for c in chunks])

    def close(self) -> None:
        self.program.close()


def _own(past: Past) -> KernelCache:
    if isinstance(past, KernelCache):
        return past
    raise GenerationError(
        f"The kernels keep a text's past in a KernelCache, but were given a {type(past).__name__}. "
        "Make it with `new_past` of the same runner."
    )
