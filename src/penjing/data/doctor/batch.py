"""Documents on their way through the scan: megabytes at a time, while the next are being read."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from penjing.data.doctor.scan import Scanned, Scanner
from penjing.data.readers import Part

_BYTES = 2**22  # of a batch
_AHEAD = 2  # batches that wait for the scan


@dataclass
class Batch:
    """Parts of documents, their bytes one behind the other; all of them from the same side."""

    validation: bool
    parts: list[Part] = field(default_factory=list)
    raws: list[bytes] = field(default_factory=list)
    partial: list[bool] = field(default_factory=list)  # whether each is less than its document
    n_bytes: int = 0
    data: bytes = b""

    def add(self, part: Part, raw: bytes, *, partial: bool) -> None:
        """The next part, its bytes in UTF-8, and whether it is less than its document."""
        self.parts.append(part)
        self.partial.append(partial)
        self.raws.append(raw)
        self.n_bytes += len(raw)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Bytes of each part."""
        return np.fromiter(map(len, self.raws), np.int64, len(self.raws))

    def scan(self, scanner: Scanner, limit: int) -> Scanned:
        """What is in it."""
        self.data = b"".join(self.raws)
        return scanner.scan(self.data, np.cumsum(self.sizes), limit, np.array(self.partial))


def scanned(
    parts: Iterator[tuple[Part, bytes, bool]], limit: Callable[[], int]
) -> Iterator[tuple[Batch, Scanned]]:
    """Every batch with what was found in it, in order; a second thread does the scanning.

    Args:
        parts: each with its text in UTF-8, and whether it is for validation.
        limit: that of passages, asked anew for each batch.
    """
    scanner = Scanner()
    waiting: deque[tuple[Batch, Future[Scanned]]] = deque()
    with ThreadPoolExecutor(max_workers=1) as pool:
        for batch in _batches(parts):
            waiting.append((batch, pool.submit(batch.scan, scanner, limit())))
            if len(waiting) > _AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def _batches(parts: Iterator[tuple[Part, bytes, bool]]) -> Iterator[Batch]:
    batch, begun = Batch(validation=False), False
    for part, raw, validation in parts:
        if batch.parts and (batch.n_bytes >= _BYTES or batch.validation != validation):
            yield batch
            batch = Batch(validation)
        batch.validation = validation
        batch.add(part, raw, partial=begun or not part.ends)
        begun = not part.ends
    if batch.parts:
        yield batch
