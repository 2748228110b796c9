"""What lies on disk: tokenizer.json, and the settings beside it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from penjing.core.errors import TokenizerError
from penjing.core.files import atomic_file

STEPS = {  # of each part that may be several: the name under which these are
    "normalizer": "normalizers",
    "pre_tokenizer": "pretokenizers",
    "post_processor": "processors",
    "decoder": "decoders",
}


def parse(text: str, source: str) -> dict[str, Any]:
    """The content of a tokenizer.json.

    Raises:
        TokenizerError: it is no JSON, has no model, or one that would end the process.
    """
    try:
        spec = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TokenizerError(
            f"{source} is damaged, it is not JSON: {error}. Copy or save it again."
        ) from error
    if not isinstance(spec, dict) or not isinstance(spec.get("model"), dict):
        raise TokenizerError(f'{source} is not a tokenizer.json: it has no "model".')
    for name in ("model", *STEPS):
        _check_types(spec.get(name), name, source)
    _check_prefix(spec["model"], source)
    return spec


def _check_types(part: Any, name: str, source: str) -> None:
    """Refuse what is no object with the name of a type: some of it `tokenizers` would guess."""
    if part is None:
        return
    if not isinstance(part, dict) or not isinstance(part.get("type", ""), str):
        raise TokenizerError(
            f'{source} is damaged: its "{name}" is, or holds, no object with a "type". Copy or '
            "save it again."
        )
    steps = part.get(STEPS.get(name, ""))
    for step in steps if isinstance(steps, list) else ():
        _check_types(step or [], name, source)


def _check_prefix(model: Mapping[str, Any], source: str) -> None:
    """Refuse a merge whose second token lacks the prefix of what goes on within a word: over that
    `tokenizers` ends the process."""
    prefix, merges = model.get("continuing_subword_prefix"), model.get("merges")
    if not prefix or not isinstance(merges, list):
        return
    for rank, merge in enumerate(merges):
        parts = merge.split(" ") if isinstance(merge, str) else merge
        right = parts[1] if isinstance(parts, list) and len(parts) == 2 else ""
        if not str(right).startswith(str(prefix)):
            raise TokenizerError(
                f"{source} is damaged: merge {rank} is of a second token {right!r} without the "
                f"prefix {prefix!r} (continuing_subword_prefix). Copy or save it again."
            )


def read(file: Path) -> str:
    """A file's text.

    Raises:
        TokenizerError: it is missing or cannot be read.
    """
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise TokenizerError(
            f"There is no tokenizer at {file}. Name a model directory that holds a tokenizer.json, "
            "or the file itself."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{file} cannot be read: {error}.") from error


def read_settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json over special_tokens_map.json; a chat template may have its own file.

    Raises:
        TokenizerError: one of them is damaged.
    """
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            source = folder / name
            try:
                settings |= json.loads(read(source))
                json.dumps(settings, ensure_ascii=False).encode("utf-8")  # no lone surrogates
            except (ValueError, TypeError, RecursionError) as error:
                raise TokenizerError(f"{source} is damaged, no JSON object: {error}.") from error
    template = folder / "chat_template.jinja"
    if template.is_file():
        settings["chat_template"] = read(template)
    elif "chat_template" in settings:
        settings["chat_template"] = _template(settings["chat_template"], folder)
    return settings


def write(
    folder: Path, text: str, settings: Mapping[str, Any], model_max_length: int | None
) -> None:
    """tokenizer.json as it is, and tokenizer_config.json such that `transformers` agrees.

    Raises:
        StorageError: the disk refuses.
    """
    told: dict[str, Any] = {
        **settings,
        # The generic class takes tokenizer.json as it is; a model's own may rebuild parts.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
    }
    told.pop("auto_map", None)  # names remote code
    if model_max_length is not None:
        told["model_max_length"] = model_max_length
    content = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
    for name, written in (("tokenizer.json", text), ("tokenizer_config.json", content)):
        with atomic_file(folder / name) as scratch:
            scratch.write_bytes(written.encode("utf-8"))


def _template(value: object, folder: Path) -> str | None:
    """The chat template; in an older form there are several, and "default" is the name of one."""
    with suppress(KeyError, TypeError):
        if isinstance(value, list):
            value = {each["name"]: each["template"] for each in value}.get("default")
        if value is None or isinstance(value, str):
            return value
    raise TokenizerError(
        f'{folder / "tokenizer_config.json"}: "chat_template" must be a text, or a list of '
        'objects with "name" and "template".'
    )


def first_token(spec: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """The special token that other programs put before each text, if they put one there."""
    after = spec.get("post_processor") or {}
    for step in after.get("processors", [after]):
        if step.get("type") == "TemplateProcessing":
            first: str | None = (step.get("single") or [{}])[0].get("SpecialToken", {}).get("id")
            return first
    named = settings.get("bos_token") if settings.get("add_bos_token") else None
    return named.get("content") if isinstance(named, dict) else named
