"""WordPiece: words from the longest pieces that the vocabulary has, as BERT reads them.

    unhappiness -> un ##happi ##ness

`##` marks a piece that goes on within a word. A word that cannot be put together is one `[UNK]`.
Spaces, control characters and the line's end only part words, so they are lost.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from penjing.core.errors import TokenizerError
from penjing.core.events import Listener
from penjing.tokenizer.bpe.learn import learn
from penjing.tokenizer.building import (
    assemble,
    check_sample,
    ids_of,
    learning,
    no_text,
    reporter,
    too_few,
)
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.kinds.characters import check_coverage, check_room, covering
from penjing.tokenizer.pieces import NEEDLESS_SPACE
from penjing.tokenizer.sample import draw_sample
from penjing.tokenizer.tokenizer import Tokenizer

UNKNOWN = "[UNK]"
PREFIX = "##"
LONGEST_WORD = 100  # characters; BERT takes longer ones for unknown

_SPACED = 16  # characters for each space, at most, in a text whose words are parted by spaces
_BEGIN = "\0"  # before the first letter of a word; BERT's normaliser leaves none in a text


def train_wordpiece(texts: Iterable[str], config: TokenizerConfig, tell: Listener) -> Tokenizer:
    """WordPiece of BERT's form, upper and lower case kept unless `config.lowercase`.

    The pieces are found as those of BPE, by the most frequent pair; a letter that begins a word and
    the same letter within one are different to it. Han characters are words of their own. In the
    vocabulary stand first these letters, then the pieces in the order learned, `[UNK]` and the
    special tokens.

    Sources: Schuster & Nakajima, 2012; Devlin et al., 2018. How the original chose its pieces was
    never published in full; counting pairs is what `tokenizers` does.

    Raises:
        TokenizerError: no text, text that is not valid Unicode, or a size that cannot be had.
    """
    check_coverage(config.coverage)
    check_sample(config.sample_bytes)
    sample = draw_sample(texts, config.sample_bytes, reporter(tell))
    words = count_words(sample.texts, _normalizer(config))
    if not words:
        raise _no_words() if sample.pieces else no_text()
    characters: Counter[str] = Counter()
    for word, count in words.items():
        for char in word:
            characters[char] += count
    fixed = len({UNKNOWN, *config.special_tokens})
    check_room(
        config,
        characters,
        lambda chars: fixed + len(_letters(_marked(words, chars))),
        "the special tokens and the text's letters, each as it begins a word or goes on in it,",
    )
    marked = _marked(words, covering(characters, config.coverage))
    letters = sorted(_letters(marked), key=lambda letter: (letter[0] != _BEGIN, letter))
    learning(tell, sample)(len(letters) + fixed)
    pieces = learn_pieces(marked, letters, config.vocab_size - fixed)
    if len(pieces) + fixed < config.vocab_size:
        raise too_few(config.vocab_size, len(pieces) + fixed, sampled=sample.sampled)
    vocab = [piece[1:] if piece[0] == _BEGIN else PREFIX + piece for piece in pieces]
    return assemble(
        models.WordPiece(
            vocab=ids_of([*vocab, UNKNOWN]),
            unk_token=UNKNOWN,
            max_input_chars_per_word=LONGEST_WORD,
            continuing_subword_prefix=PREFIX,
        ),
        _decoder(),
        config.special_tokens,
        normalizer=_normalizer(config),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        unknown=UNKNOWN,
    )


def count_words(texts: Iterable[str], normalizer: normalizers.Normalizer) -> Counter[str]:
    """BERT's words: what stands between spaces, punctuation apart; without overlong ones."""
    raw: Counter[str] = Counter()  # between spaces, of texts that have many: the same come often
    chunks: Counter[str] = Counter()
    for text in texts:
        if text.count(" ") * _SPACED > len(text):
            raw.update(text.split(" "))
        else:
            chunks.update(normalizer.normalize_str(text).split())
    for part, count in raw.items():
        for chunk in normalizer.normalize_str(part).split():
            chunks[chunk] += count
    words: Counter[str] = Counter()
    splitter = pre_tokenizers.BertPreTokenizer()
    for chunk, count in chunks.items():
        for word, _ in splitter.pre_tokenize_str(chunk):
            if len(word) <= LONGEST_WORD:
                words[word] += count
    return words


def _no_words() -> TokenizerError:
    return TokenizerError(
        f"The text holds no word of at most {LONGEST_WORD} characters to learn WordPiece from, but "
        "white space, control characters or longer words. Another kind, such as bpe, takes them."
    )


def _marked(words: Mapping[str, int], known: Iterable[str]) -> dict[str, int]:
    """Those words that are of these characters alone, their beginnings marked."""
    allowed = frozenset(known)
    return {_BEGIN + word: n for word, n in words.items() if allowed.issuperset(word)}


def _letters(marked: Iterable[str]) -> set[str]:
    return {letter for word in marked for letter in letters_of(word)}


def letters_of(word: str) -> list[str]:
    """The letters of a word whose beginning is marked; the mark is part of the first."""
    return [word[:2], *word[2:]]


def learn_pieces(words: Mapping[str, int], letters: list[str], size: int) -> list[str]:
    """The letters, and up to `size` pieces in all: the most frequent pair of neighbours is next.

    Args:
        words: words whose beginnings are marked, and how often each occurs.
        letters: all that they are made of.
    """
    ids = ids_of(letters)
    pieces = [letter.encode("utf-8") for letter in letters]
    learn({tuple(ids[each] for each in letters_of(w)): n for w, n in words.items()}, pieces, size)
    return [piece.decode("utf-8") for piece in pieces]


def _normalizer(config: TokenizerConfig) -> normalizers.Normalizer:
    return normalizers.BertNormalizer(lowercase=config.lowercase)


def _decoder() -> decoders.Decoder:
    """BERT's, and no spaces beside characters with which none is written."""
    return decoders.Sequence(
        [
            decoders.WordPiece(prefix=PREFIX, cleanup=True),
            decoders.Fuse(),
            decoders.Replace(Regex(NEEDLESS_SPACE.pattern), ""),
        ]
    )
