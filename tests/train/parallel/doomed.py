"""`penjing WORDS` in a process of several, one of which dies: `torchrun ... doomed.py WORDS`."""

import os
import signal
import sys

from penjing.cli.main import main
from penjing.data.batches import Batch
from penjing.train.objectives import NextToken

LAST_STEP = 7


class Doomed(NextToken):
    """The second process is killed in the middle of a step, when it is there for the first time."""

    def batch(self, step: int) -> Batch:
        mine = os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
        if mine and step == LAST_STEP:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, step)


if __name__ == "__main__":
    original = NextToken.batch
    NextToken.batch = Doomed.batch  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
