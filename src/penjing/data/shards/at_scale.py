"""The same encoding on many machines, under an engine that runs there already.

penjing has no cluster of its own. `EncodeTasks` is a pipeline step for `datatrove`, whose executors
run it in local processes, under Slurm, or on Ray; any other engine can call it in the same way:
with its own number among how many.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penjing.data.shards.encode import jobs
from penjing.data.shards.plan import load_plan
from penjing.data.shards.worker import work


@dataclass(frozen=True)
class EncodeTasks:
    """Does each `world_size`-th job of a plan, from the `rank`-th on, that is not done yet.

    The work folder and the text must lie on a disk that all machines share.
    """

    folder: str  # that of the plan
    name: str = "encode"

    def __call__(self, _data: Any = None, rank: int = 0, world_size: int = 1) -> Iterable[Any]:
        """
        Raises:
            DataError, StorageError, TokenizerError: as `encode_task`.
        """
        plan = load_plan(Path(self.folder))
        everything = [f"file {n}" for n in plan.cut_files]
        everything += [f"task {n}" for n in range(len(plan.tasks))]
        left = set(jobs(plan))
        for job in everything[rank::world_size]:
            if job in left:
                work(plan, job)
        return ()
