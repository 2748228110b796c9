"""Settings from dictionaries and TOML: what fits is taken, what does not is explained."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from penjing.core.config import from_dict, load_toml, to_dict
from penjing.core.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    kind: Literal["slow", "fast"] = "slow"


@dataclass(frozen=True)
class Outer:
    steps: int = 10
    names: tuple[str, ...] = ()
    place: Path | None = None
    loud: bool = False
    bias: dict[int, float] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)


def test_values_are_taken_over() -> None:
    data = {
        "steps": 3,
        "names": ["a", "b"],
        "place": "/tmp",
        "bias": {"7": 1},
        "inner": {"kind": "fast"},
    }
    config = from_dict(Outer, data, where="test")
    assert config == Outer(3, ("a", "b"), Path("/tmp"), False, {7: 1.0}, Inner(kind="fast"))


def test_what_is_not_named_comes_from_the_base() -> None:
    base = Outer(steps=5, inner=Inner(rate=0.5))
    config = from_dict(Outer, {"inner": {"kind": "fast"}}, where="test", base=base)
    assert config.steps == 5 and config.inner == Inner(0.5, "fast")


def test_round_trip() -> None:
    config = Outer(3, ("x",), Path("/tmp"), True, {1: -2.0}, Inner(1.0, "fast"))
    assert from_dict(Outer, to_dict(config), where="test") == config


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"step": 3}, r"unknown setting 'step'\. Did you mean 'steps'\?"),
        ({"inner": {"kid": "fast"}}, r"inner: unknown setting 'kid'\. Did you mean 'kind'\?"),
        ({"inner": {"kind": "fats"}}, r"inner: kind: 'fats' is not one .* Did you mean 'fast'\?"),
        ({"steps": 1.5}, r"steps: int needed, got float 1\.5"),
        ({"steps": True}, r"steps: int needed, got bool"),
        ({"steps": "3"}, r"steps: int needed, got str"),
        ({"loud": 1}, r"loud: bool needed"),
        ({"names": "abc"}, r"names: a list is needed"),
        ({"inner": 3}, r"inner: a table of settings is needed"),
        ({"bias": {"x": 1}}, r"bias: int needed"),
        ({"inner": {"rate": 10**400}}, r"rate: 100000000\.\.\. is too large"),
    ],
)
def test_a_mistake_says_which_and_what_was_meant(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(Outer, data, where="my.toml")


def test_toml(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("steps = 7\n[inner]\nrate = 2\n", encoding="utf-8")
    assert load_toml(Outer, file) == Outer(steps=7, inner=Inner(rate=2.0))
    file.write_text("steps = = 7\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"run\.toml is not a TOML file.*line 1"):
        load_toml(Outer, file)
    with pytest.raises(ConfigError, match=r"no settings file .*none\.toml"):
        load_toml(Outer, tmp_path / "none.toml")
