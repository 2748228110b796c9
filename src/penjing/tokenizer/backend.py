"""The `tokenizers` instance of a tokenizer.json, or why there is none: which part, which line."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tokenizers
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from penjing.core.errors import TokenizerError
from penjing.tokenizer.assembling import assemble
from penjing.tokenizer.files import STEPS

_Part = Mapping[str, Any]

# The parts of a tokenizer.json, and where the library keeps what it knows of each.
_PARTS = {
    "model": models,
    "normalizer": normalizers,
    "pre_tokenizer": pre_tokenizers,
    "post_processor": processors,
    "decoder": decoders,
}
_OTHERS = ("version", "truncation", "padding", "added_tokens")
_EMPTY_MODEL: _Part = {"type": "BPE", "vocab": {}, "merges": []}
_CURE = (
    "It was made by another version, or it is damaged: update the package tokenizers, or copy the "
    "file again."
)


def open_backend(text: str, source: str, spec: _Part | None = None) -> Backend:
    """An instance that neither cuts texts short nor fills them up, whatever the file says.

    Args:
        text: the content of tokenizer.json.
        source: where it came from, for errors.
        spec: what `text` says, if an instance can be made of its parts (`assembling`).

    Raises:
        TokenizerError: it is not a tokenizer.json, or has parts that the library does not know.
    """
    try:
        backend = Backend.from_str(text) if spec is None else assemble(spec)
    except Exception as error:  # the library raises no narrower class
        raise TokenizerError(_reason(text, source, error)) from error
    backend.no_truncation()
    backend.no_padding()
    return backend


@contextmanager
def encoding_errors() -> Iterator[None]:
    """What the library says of a text that a damaged vocabulary cannot write, as our error.

    Raises:
        TokenizerError: it said something.
    """
    try:
        yield
    except Exception as error:  # the library raises no narrower class
        raise TokenizerError(
            f"This tokenizer cannot encode this text: {error}. Its file names no token for what it "
            "does not know; use the tokenizer of another model."
        ) from error


def _reason(text: str, source: str, error: Exception) -> str:
    """What is wrong with the file, as near as can be said."""
    spec = json.loads(text)
    library = f"tokenizers {tokenizers.__version__}"
    for name in spec:
        if name not in (*_PARTS, *_OTHERS):
            return f"{source}, line {_line(text, name)}: {library} knows no part {name!r}. {_CURE}"
    for name, known in _PARTS.items():
        for where, step, why in _failing(name, spec.get(name)):
            kind = step.get("type")
            if kind is not None and not hasattr(known, str(kind)):
                line = _line(text, kind)
                return f"{source}, line {line}: {library} knows no {where} {kind!r}. {_CURE}"
            begin = f"(from line {_line(text, name)} on)"
            return f"{source}: {library} cannot read the {where} {begin}: {why}. {_CURE}"
    return f"{source} is not a tokenizer.json that {library} can read: {error}. {_CURE}"


def _failing(name: str, part: Any, where: str = "") -> Iterator[tuple[str, _Part, str]]:
    """The steps of a part that the library does not read, or the part itself."""
    if not isinstance(part, dict):
        return
    where = where or name
    steps = part.get(STEPS.get(name, ""))
    if part.get("type") == "Sequence" and isinstance(steps, list):
        for number, step in enumerate(steps, start=1):
            yield from _failing(name, step, f"{where}, step {number},")
    alone = {"version": "1.0", "added_tokens": [], "model": _EMPTY_MODEL, name: part}
    try:
        Backend.from_str(json.dumps(alone))
    except Exception as error:  # the library raises no narrower class
        yield where, part, re.sub(r" at line \d+ column \d+$", "", str(error))


def _line(text: str, name: str) -> int:
    """The line of a file where this name stands first as a JSON string."""
    found = re.search(re.escape(json.dumps(name, ensure_ascii=False)), text)
    return text.count("\n", 0, found.start()) + 1 if found else 1
