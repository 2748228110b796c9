"""Characters: one token for each that a text holds."""

from collections import Counter
from collections.abc import Iterable

from tokenizers import decoders, models

from penjing.core.events import Listener
from penjing.tokenizer.alphabet import require_unicode
from penjing.tokenizer.building import UNKNOWN, assemble, ids_of, no_text, reporter
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.kinds.characters import check_coverage, covering
from penjing.tokenizer.tokenizer import Tokenizer


def train_char(texts: Iterable[str], config: TokenizerConfig, tell: Listener) -> Tokenizer:
    """Characters in code point order: all of them, or the most frequent ones (`coverage`).

    Any other character becomes `<unk>`, and is lost.

    Raises:
        TokenizerError: no text, text that is not valid Unicode, or special tokens that cannot be.
    """
    check_coverage(config.coverage)
    counts: Counter[str] = Counter()
    n_read, report = 0, reporter(tell)
    for text in texts:
        require_unicode(text)
        counts.update(text)
        n_read += len(text.encode("utf-8"))
        report(n_read)
    if not counts:
        raise no_text()
    vocab = [*covering(counts, config.coverage), UNKNOWN]
    # BPE without merges: a character a token, without a regular expression over the text.
    model = models.BPE(vocab=ids_of(vocab), merges=[], unk_token=UNKNOWN, fuse_unk=False)
    return assemble(model, decoders.Fuse(), config.special_tokens, unknown=UNKNOWN)
