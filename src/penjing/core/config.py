"""Settings: frozen dataclasses, filled from a TOML file or a dictionary, checked by their types.

A wrong name or a wrong value is a `ConfigError` that says which, where, and what was meant.
"""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from penjing.core.errors import ConfigError
from penjing.core.table import suggest

C = TypeVar("C")


def from_dict(cls: type[C], data: Mapping[str, Any], *, where: str, base: C | None = None) -> C:
    """An instance of the dataclass `cls` with the values of `data`, and those of `base` elsewhere.

    Nested tables fill nested dataclasses. `where` names the source in errors ("my.toml").

    Raises:
        ConfigError: an unknown name, a value of the wrong type, or a missing value.
    """
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, value in data.items():
        if name not in fields:
            raise ConfigError(f"{where}: unknown setting {name!r}.{suggest(name, list(fields))}")
        inner = getattr(base, name) if base is not None else None
        values[name] = _convert(hints[name], value, where=f"{where}: {name}", base=inner)
    try:
        return dataclasses.replace(base, **values) if base is not None else cls(**values)  # type: ignore[type-var]
    except TypeError as error:
        raise ConfigError(f"{where}: {str(error).split('() ')[-1]}.") from error


def to_dict(config: Any) -> dict[str, Any]:
    """Plain values for JSON and TOML: paths become strings, tuples lists."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        return str(value) if isinstance(value, Path) else value

    return typing.cast(dict[str, Any], plain(dataclasses.asdict(config)))


def load_toml(cls: type[C], path: str | Path, *, base: C | None = None) -> C:
    """Read the dataclass `cls` from a TOML file, on top of `base`.

    Raises:
        ConfigError: the file is missing, is not TOML, or holds a wrong name or value.
    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"There is no settings file {path}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}.") from error
    return from_dict(cls, data, where=str(path), base=base)


def _convert(hint: Any, value: Any, *, where: str, base: Any = None) -> Any:
    """`value` as the type `hint`, or a `ConfigError`. No silent narrowing: 1.5 is not an int."""
    if hint is Any:
        return value
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        first = next(a for a in args if a is not type(None))
        return _convert(first, value, where=where, base=base)
    if origin is Literal:
        if value in args:
            return value
        names = [str(a) for a in args]
        raise ConfigError(
            f"{where}: {value!r} is not one of the choices.{suggest(str(value), names)}"
        )
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, Mapping):
            return from_dict(hint, value, where=where, base=base)
        if isinstance(value, hint):
            return value
        raise ConfigError(f"{where}: a table of settings is needed here, got {value!r}.")
    if origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_convert(args[0], item, where=where) for item in value)
        raise ConfigError(f"{where}: a list is needed here, got {value!r}.")
    if origin in (dict, Mapping):
        if isinstance(value, Mapping):
            return {
                _key(args[0], k, where): _convert(args[1], v, where=where) for k, v in value.items()
            }
        raise ConfigError(f"{where}: a table is needed here, got {value!r}.")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > 1e300:
            raise ConfigError(f"{where}: {str(value)[:9]}... is too large.")
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{where}: {hint.__name__} needed, got {type(value).__name__} {value!r}.")


def _key(hint: Any, key: Any, where: str) -> Any:
    """A table's key: TOML and JSON have only strings, so an int key is read from one."""
    if hint is int and isinstance(key, str) and key.lstrip("-").isdigit():
        return int(key)
    return _convert(hint, key, where=where)
