"""When texts go to the compiled encoder: large inputs, and vocabularies that it knows.

Compiled code takes a second to load, and some seconds to compile the first time on a machine. So
`tokenizers` encodes until a tokenizer has seen so much text that this is soon made up for.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from penjing.tokenizer.splits import scanner_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from penjing.tokenizer.fast.encoder import BulkEncoder

LARGE = 1 << 22  # characters that a tokenizer has met before compiled code is loaded
_SMALL = 1 << 15  # characters that are not worth waking threads for


class Bulk:
    """The compiled encoder of a tokenizer, made when it is worth it.

    Args:
        text: a tokenizer.json.
        spec: its content.
    """

    def __init__(self, text: str, spec: Mapping[str, Any]) -> None:
        self._text = text if _is_plain(spec) else None
        self._rule = scanner_name(spec.get("pre_tokenizer"))
        self._compose = _normalizer(spec) == "NFC"
        self._seen = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """For copies: each makes compiled tables of its own."""
        return {key: self.__dict__[key] for key in ("_text", "_rule", "_compose", "_seen")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._lock = threading.Lock()

    def expect(self, characters: int) -> None:
        """So much is going to be encoded: whether compiled code is worth it is known at once."""
        self._seen += characters

    def wants(self, characters: int) -> bool:
        """Whether the next so many characters should be encoded here; counts them too."""
        if self._text is None:
            return False
        self._seen += characters
        if self._seen < LARGE or characters < _SMALL:
            return False
        with self._lock:
            return self._encoder is not None

    def encode(
        self, pieces: Iterable[tuple[str, bool]]
    ) -> Iterator[tuple["NDArray[np.uint32]", bool]]:
        """The ids of each text or part of one, in turn, with the mark that comes with it.

        Raises:
            TokenizerError: a text is not valid Unicode.
        """
        if self._encoder is None:
            raise LookupError("ask wants() first")
        return self._encoder.encode(pieces)

    @cached_property
    def _encoder(self) -> "BulkEncoder | None":
        """The encoder, or None where it cannot be compiled."""
        from penjing.compiling.functions import COMPILING_FAILED
        from penjing.compiling.notice import warn_of_failure

        try:
            from penjing.tokenizer.fast.encoder import BulkEncoder
            from penjing.tokenizer.fast.merges import can_encode

            model = json.loads(self._text or "")["model"]
            if not can_encode(model):
                return None
            encoder = BulkEncoder(model, self._rule or "", compose=self._compose)
            encoder.compile()
        except COMPILING_FAILED as error:
            without = "encoding large texts takes longer, and gives the same ids"
            warn_of_failure("The fast encoder", error, without)
            return None
        return encoder


def _is_plain(spec: Mapping[str, Any]) -> bool:
    """Whether merges and a split rule that is known, and at most form C, make a text's ids."""
    bpe = spec["model"].get("type", "BPE") == "BPE"
    known = scanner_name(spec.get("pre_tokenizer")) is not None
    return bpe and known and _normalizer(spec) in (None, "NFC")


def _normalizer(spec: Mapping[str, Any]) -> str | None:
    match spec.get("normalizer"):
        case None | {"type": "Sequence", "normalizers": []}:
            return None
        case {"type": str(name)}:
            return name
    return ""
