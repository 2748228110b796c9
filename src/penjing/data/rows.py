"""Files of rows: jsonl, csv and parquet. Each row is a document, its text in one column."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from penjing.core.errors import DataError
from penjing.core.types import Document
from penjing.data.encodings import decode_stream

TEXT_FIELDS = ("text", "content")  # where a row's text is looked for, in this order
_EXAMPLE = '{"text": "..."}'


def read_jsonl(
    file: BinaryIO, source: str, *, damaged: Callable[[str], None] | None = None
) -> Iterator[Document]:
    """One JSON object a line, its text in `text` or `content`; empty lines are skipped.

    Args:
        damaged: is told of each line that is no such object, and it is left out; without one, the
            first is an error.
    """
    for number, line in enumerate(_lines(decode_stream(file, source)), start=1):
        if not line.strip():
            continue
        try:
            text = _text_of_line(line, f"{source}, line {number}")
        except DataError as error:
            if damaged is None:
                raise
            damaged(str(error))
        else:
            yield Document(text, f"{source}:{number}")


def _text_of_line(line: str, where: str) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error}).") from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: an object is needed, such as {_EXAMPLE}.")
    return _text_of(row, where)


def read_csv(file: BinaryIO, source: str) -> Iterator[Document]:
    """A row is a document; the first line names the columns, one of them `text` or `content`."""
    return _read_separated(file, source, ",")


def read_tsv(file: BinaryIO, source: str) -> Iterator[Document]:
    """As csv, with tabs between the columns."""
    return _read_separated(file, source, "\t")


def _read_separated(file: BinaryIO, source: str, delimiter: str) -> Iterator[Document]:
    csv.field_size_limit(2**31 - 1)  # the module's own limit is 128 KB, less than a book
    text = _lines(decode_stream(file, source))
    rows = csv.DictReader(text, delimiter=delimiter, strict=True)
    line = 1
    try:
        column = _text_column(rows.fieldnames or (), f"{source}, line 1")
        line = rows.line_num + 1
        for row in rows:
            if row[column] is None:
                raise DataError(f"{source}, line {line}: the row ends before column {column!r}.")
            yield Document(row[column], f"{source}:{line}")
            line = rows.line_num + 1
    except csv.Error as error:
        raise DataError(f"{source}, line {line}: not a row of csv ({error}).") from error


def read_parquet(file: BinaryIO, source: str) -> Iterator[Document]:
    """A row is a document; its text is in the column `text` or `content`; null rows are skipped."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            f"{source}: reading parquet needs pyarrow. Install it: pip install 'penjing[parquet]'"
        ) from error
    try:
        table = parquet.ParquetFile(file)
        column = _text_column(table.schema_arrow.names, source)
        row = 0
        for batch in table.iter_batches(batch_size=1024, columns=[column]):
            for text in batch.column(0).to_pylist():
                row += 1
                if text is not None:
                    yield Document(
                        _checked(text, column, f"{source}, row {row}"), f"{source}:{row}"
                    )
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: not a readable parquet file ({error}).") from error


def _lines(chunks: Iterable[str]) -> Iterator[str]:
    """Lines with their ends, however long, of a text that comes piece by piece."""
    begun: list[str] = []
    for chunk in chunks:
        *whole, rest = chunk.split("\n")
        for line in whole:
            yield f"{''.join(begun)}{line}\n"
            begun.clear()
        if rest:
            begun.append(rest)
    if begun:
        yield "".join(begun)


def _text_column(columns: Sequence[str], where: str) -> str:
    for name in TEXT_FIELDS:
        if name in columns:
            return name
    there = ", ".join(columns) or "none"
    raise DataError(
        f"{where}: a column {' or '.join(TEXT_FIELDS)} is needed; the columns are: {there}."
    )


def _text_of(row: Mapping[str, Any], where: str) -> str:
    for name in TEXT_FIELDS:
        if name in row:
            return _checked(row[name], name, where)
    there = ", ".join(row) or "none"
    raise DataError(
        f"{where}: a field {' or '.join(TEXT_FIELDS)} is needed, such as {_EXAMPLE}; "
        f"the fields are: {there}."
    )


def _checked(text: object, name: str, where: str) -> str:
    if not isinstance(text, str):
        raise DataError(f"{where}: {name!r} must be a string, not {type(text).__name__}.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:  # JSON can spell one: "\ud83d" alone
        raise DataError(f"{where}: {name!r} holds half a character ({error.reason}).") from error
    return text
