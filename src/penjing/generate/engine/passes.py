"""One pass: run what was scheduled, and hand out the tokens."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

from penjing.generate.engine.figures import EngineStats
from penjing.generate.engine.request import Request
from penjing.generate.engine.scheduler import Work
from penjing.generate.engine.speculation import Speculation
from penjing.generate.runners.runner import Chunk, Runner
from penjing.kernels.scores import Scores

Ended = dict[Request, Exception | None]  # requests that came to their end, and what went wrong


class Passes:
    """Takes requests through `runner`, at most `most_rows` rows at once where guesses are added.

    `stats` is written to, and `seconds` is the running mean of a pass by `clock`.
    """

    def __init__(
        self,
        runner: Runner,
        speculation: Speculation | None,
        *,
        most_rows: int,
        stats: EngineStats,
        clock: Callable[[], float],
    ) -> None:
        self.runner, self.speculation, self.most_rows = runner, speculation, most_rows
        self.stats, self.clock = stats, clock
        self.seconds = 0.0

    def run(self, work: Sequence[Work]) -> Ended:
        """Read the work and choose tokens; who ended with that, well or not."""
        ended: Ended = {}
        try:
            for item, scores in zip(work, self._read(work), strict=True):
                if isinstance(scores, Exception):
                    ended[item.request] = scores
                else:
                    self._digest(item, scores, ended)
        except Exception as error:  # whatever it is, its readers are told, and others go on
            ended |= {item.request: error for item in work}
        return ended

    def _read(self, work: Sequence[Work]) -> Sequence[Scores | Exception]:
        """The scores of each part of the work, with guesses where they pay."""
        rows = sum(item.n for item in work)
        if self.speculation is not None:
            self.speculation.draft(work, self.most_rows - rows)
            rows += sum(len(item.draft) for item in work)
        chunks = [item.chunk() for item in work]
        began = self.clock()
        scores = self._forward(chunks)
        seconds = self.clock() - began
        if self.speculation is not None:
            self.speculation.times.record(rows, seconds)
        self.seconds += 0.1 * (seconds - self.seconds)
        self.stats.passes += 1
        self.stats.rows += rows
        return scores

    def _forward(self, chunks: Sequence[Chunk]) -> Sequence[Scores | Exception]:
        """The scores of each chunk. Where all together cannot be read, each is read by itself, so
        that what is wrong with one does not reach the others."""
        lengths = [chunk.past.length for chunk in chunks]
        try:
            return self.runner.forward(chunks)
        except Exception:  # whatever it is, it comes again where it belongs
            return [self._alone(*each) for each in zip(chunks, lengths, strict=True)]

    def _alone(self, chunk: Chunk, length: int) -> Scores | Exception:
        """The scores of a chunk whose past had `length` positions, or why there are none."""
        try:
            chunk.past.trim(length)
            (scores,) = self.runner.forward([chunk])
        except Exception as error:  # whatever it is, its reader is told
            return error
        return scores

    def _digest(self, item: Work, scores: Scores, ended: Ended) -> None:
        """Choose the tokens that the scores of one request allow, and hand them out."""
        request, past = item.request, item.request.past
        assert past is not None, "not admitted"
        n = item.n + len(item.draft)
        request.read(n, self.runner.piece)
        chosen: list[int] = []
        try:
            for row, summary, guess in zip_longest(*scores, item.draft):
                step = request.advance(row, summary)
                chosen.append(step.id)
                request.outbox.put(step)
                if step.finish_reason is not None:
                    ended[request] = None
                if step.finish_reason is not None or step.id != guess:
                    break
        except Exception as error:  # whatever it is, it is this request's, and the others go on
            ended[request] = error
        if item.draft:  # forget what was guessed wrong
            past.trim(past.length - n + max(1, len(chosen)))
            request.whole = min(request.whole, past.length)
        if self.speculation is not None and chosen:
            self.speculation.learn(item, chosen)
        self.stats.tokens += len(chosen)
