"""What is wrong with a structure, and where in it."""

import json
import re
from collections.abc import Iterator
from typing import Any

from penjing.core.errors import GenerationError
from penjing.core.types import Structure

Schema = dict[str, Any]

_DEFINITIONS = ("$defs", "definitions")
_REGEX = re.compile(r"regex parse error:\n    (.*)\n    ( *)\^+\nerror: (.*)")
_LISTING = re.compile(r"\n +\d+ \| .*", re.DOTALL)  # the source, with a mark below it


def read_schema(structure: Structure) -> Schema:
    """The JSON schema of a structure.

    Raises:
        GenerationError: it is not JSON, or no schema.
    """
    if structure.kind == "json_object":
        return {"type": "object"}
    try:
        schema = json.loads(structure.text)
    except json.JSONDecodeError as error:
        raise GenerationError(f"The JSON schema is not JSON: {error}.") from error
    except RecursionError as error:
        raise GenerationError("The JSON schema is nested too deeply.") from error
    if schema is True:  # anything
        return {}
    if not isinstance(schema, dict):
        raise GenerationError(
            f"A JSON schema that text can be held to is an object, got {structure.text[:40]!r}."
        )
    return schema


def explained(structure: Structure, message: str) -> str:
    """One paragraph about an error that `llguidance` has with a structure."""
    match structure.kind:
        case "regex":
            what = message.partition("(in regex): ")[2] or message
            return f"The regular expression cannot be used: {_plain(what)}."
        case "lark":
            where = re.sub(r"^(?:at )?(\d+)\((\d+)\)", r"line \1, column \2", message)
            return f"The Lark grammar cannot be used: {_plain(where)}."
        case _:
            place = locate(read_schema(structure), message)
            return f"The JSON schema cannot be used, at {place}: {_plain(message)}."


def locate(schema: Schema, message: str) -> str:
    """The JSON pointer of the innermost part of a schema that alone gives the same error."""
    pointer = "#"
    definitions = {k: v for k, v in schema.items() if k in _DEFINITIONS}
    while True:
        for step, part in _parts(schema):
            if _error(definitions | part) == message:
                pointer, schema = f"{pointer}/{step}", part
                break
        else:
            return pointer


def _parts(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The schemas directly within a schema, each with the way to it."""
    for key, value in schema.items():
        if isinstance(value, dict):
            named = key in ("properties", *_DEFINITIONS)  # schemas by name, not one schema
            inner = ((f"{key}/{k}", v) for k, v in value.items() if isinstance(v, dict))
            yield from inner if named else [(key, value)]
        elif isinstance(value, list):
            yield from ((f"{key}/{i}", v) for i, v in enumerate(value) if isinstance(v, dict))


def _error(schema: Schema) -> str:
    from llguidance import LLMatcher

    source = LLMatcher.grammar_from_json_schema(schema)
    return str(LLMatcher.validate_grammar(source))


def _plain(message: str) -> str:
    """On one line, and without the listing of what the user wrote."""
    message = _LISTING.sub("", message.strip())
    message = _REGEX.sub(lambda m: f"{m[3]}, at character {len(m[2]) + 1} of {m[1]!r}", message)
    return " ".join(message.split()).rstrip(".")
