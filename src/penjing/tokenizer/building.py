"""The parts of a trained tokenizer put together, and what all kinds of training refuse."""

from collections.abc import Callable, Iterable, Sequence

from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from penjing.core.errors import TokenizerError
from penjing.core.events import Event, Listener
from penjing.core.garbage import give_back_freed
from penjing.tokenizer.alphabet import require_unicode
from penjing.tokenizer.sample import Sample
from penjing.tokenizer.tokenizer import Tokenizer

UNKNOWN = "<unk>"
_REPORT_EVERY = 1 << 22  # bytes read between two progress events


def assemble(
    model: models.Model,
    decoder: decoders.Decoder,
    special_tokens: Sequence[str],
    *,
    normalizer: normalizers.Normalizer | None = None,
    pre_tokenizer: pre_tokenizers.PreTokenizer | None = None,
    unknown: str | None = None,
) -> Tokenizer:
    """A tokenizer of its parts. Special tokens come last, the first of them ends a document.

    `unknown` is the token of the model that stands for all that it cannot write; it is special too.

    Raises:
        TokenizerError: a special token is an ordinary one of the model.
    """
    backend = Backend(model)
    for token in special_tokens:
        if token != unknown and backend.token_to_id(token) is not None:
            raise TokenizerError(
                f"The special token {token!r} is an ordinary token of this vocabulary too. "
                "Choose a text that cannot be met by chance, such as <|name|>."
            )
    if normalizer is not None:
        backend.normalizer = normalizer
    if pre_tokenizer is not None:
        backend.pre_tokenizer = pre_tokenizer
    backend.decoder = decoder
    special = dict.fromkeys([*([unknown] if unknown else []), *special_tokens])
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": next(iter(special_tokens), None),
        "unk_token": unknown,
        "clean_up_tokenization_spaces": False,
    }
    text = backend.to_str(pretty=True)
    give_back_freed()
    return Tokenizer(text, settings, backend=backend)


def check_special(tokens: Sequence[str]) -> None:
    """Refuse special tokens that cannot be told apart.

    Raises:
        TokenizerError: one is empty, not valid Unicode, or there twice.
    """
    if len(set(tokens)) < len(tokens) or not all(tokens):
        raise TokenizerError(f"Special tokens must differ and not be empty, got {list(tokens)}.")
    for token in tokens:
        require_unicode(token)


def ids_of(tokens: Iterable[str]) -> dict[str, int]:
    """Each token's place, which is its id."""
    return {token: id for id, token in enumerate(tokens)}


def no_text() -> TokenizerError:
    """The error of a text that holds nothing."""
    return TokenizerError("There is no text to train a tokenizer on: all documents are empty.")


def too_few(asked: int, given: int, *, sampled: bool) -> TokenizerError:
    """The error of a text that gives fewer tokens than asked for."""
    return TokenizerError(
        f"The vocabulary is larger than the text allows: asked {asked}, this text gives at most "
        f"{given}. Choose vocab_size {given} or less, or give more text"
        + (" (or a larger sample_bytes)." if sampled else ".")
    )


def check_sample(sample_bytes: int) -> None:
    """Refuse a sample of nothing.

    Raises:
        TokenizerError: `sample_bytes` is not positive.
    """
    if sample_bytes < 1:
        raise TokenizerError(f"sample_bytes must be at least 1, got {sample_bytes}.")


def reporter(tell: Listener) -> Callable[[int], None]:
    """A function that is told the bytes read so far, and passes some of it on as events."""
    last = 0

    def report(n_read: int) -> None:
        nonlocal last
        if n_read - last >= _REPORT_EVERY:
            last = n_read
            tell(Event("tokenizer", {"phase": "read", "bytes": n_read}))

    return report


def learning(tell: Listener, sample: Sample) -> Callable[[int], None]:
    """A function that is told how many tokens there are now, and passes it on as an event."""
    told = {"sampled": sample.sampled, "bytes": sample.n_bytes, "read": sample.n_read}
    return lambda n: tell(Event("tokenizer", {"phase": "merge", **told, "tokens": n}))
