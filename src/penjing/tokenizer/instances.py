"""Two `tokenizers` instances of a tokenizer.json: one finds added tokens in a text, and the other
takes all of it for plain text."""

import json
from collections.abc import Iterable
from functools import cached_property

from tokenizers import Tokenizer as Backend

from penjing.tokenizer.backend import open_backend
from penjing.tokenizer.facts import for_plain_text

FEW = 64  # added tokens: looking for each of them in a text costs less than the text's encoding


class Instances:
    """Both of them; the second one, which takes a while to make, when it is first needed.

    Args:
        text: the content of tokenizer.json.
        whole: the instance made of it.
    """

    def __init__(self, text: str, whole: Backend) -> None:
        self._text = text
        self.whole = whole

    def to_encode(self, texts: Iterable[str], *, allow_special: bool) -> Backend:
        """The one that encodes these texts. Where no added token is written, both cut alike."""
        if allow_special or not any(map(self._may_hold_added, texts)):
            return self.whole
        return self._plain

    def _may_hold_added(self, text: str) -> bool:
        return self._added is None or any(token in text for token in self._added)

    @cached_property
    def _added(self) -> list[str] | None:
        """The added tokens' texts, if they are few and stand in a text as they are."""
        tokens = self.whole.get_added_tokens_decoder().values()
        changes = self.whole.normalizer is not None  # it may make one of what looks otherwise
        unigram = type(self.whole.model).__name__ == "Unigram"
        if changes and (unigram or any(token.normalized for token in tokens)):
            return None
        return [token.content for token in tokens] if len(tokens) <= FEW else None

    @cached_property
    def _plain(self) -> Backend:
        """Without the added tokens, which are else taken out of a text before anything happens."""
        return open_backend(json.dumps(for_plain_text(json.loads(self._text))), "tokenizer.json")
