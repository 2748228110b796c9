"""What shards must be equal to: the way through memory, and other shards."""

from collections.abc import Sequence
from pathlib import Path

from penjing.data.batches import encode_documents
from penjing.data.documents import split_documents
from penjing.data.hashing import text_hashes
from penjing.data.readers import read_documents
from penjing.data.shards.plan import ShardConfig
from penjing.data.shards.reading import Shards
from penjing.tokenizer.tokenizer import Tokenizer


def assert_same(
    sources: Sequence[str | Path], tokenizer: Tokenizer, out: Path, config: ShardConfig
) -> None:
    """The shards in `out` against the way through memory."""
    shards = Shards(out)
    shards.verify()
    split = split_documents(
        read_documents(sources),
        validation_fraction=config.validation_fraction,
        exact=config.exact_split,
    )
    parts = (
        (split.train, shards.train, shards.index.train),
        (split.validation, shards.validation, shards.index.validation),
    )
    for documents, ids, index in parts:
        expected = encode_documents(documents, tokenizer)
        assert ids.read(0, len(ids)).tolist() == expected.ids.tolist()
        assert (index.bytes, index.documents) == (expected.n_bytes, expected.n_documents)
        begin = 0
        for document, row in zip(documents, shards.documents(index), strict=True):
            text = tokenizer.decode(ids.read(begin, int(row["end"])).tolist())
            assert text == document.text
            assert row["n_bytes"] == len(text.encode())
            core = row["core"].tobytes()
            assert core in (text_hashes(document.text)[1], bytes(16))
            begin = int(row["end"])
        assert begin == len(ids)
    assert shards.index.duplicates == split.duplicates
    kept = split.train + split.validation
    assert shards.index.characters == sum(len(document.text) for document in kept)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
