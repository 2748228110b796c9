"""Where chat templates run: a Jinja sandbox in which work and memory are bounded.

A template comes with a model, from anyone. Jinja's immutable sandbox keeps it from files and from
the insides of Python. What it lacks is a limit: a loop in a loop, a string that doubles, a list
of lists of itself. Here each of these passes a meter:

- each round of a loop, call of a macro, method or filter, and each operator is a tick, and a tick
  looks at the processor time of this thread;
- no value grows beyond a number of characters that depends on the conversation alone, counted
  before it is made where one step could make it large, and all values together not beyond a
  multiple of it.

Between two ticks there is only what stands in the template, whose length is bounded too.
"""

import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from penjing.tokenizer.sandbox_growth import GROWTH, METHODS, OPERATORS, size_of

SECONDS = 1.0  # of this thread's processor time, for one rendering
VALUES = 64  # times the size of one value: that of all values that a rendering may make
FILTERS = (
    *("abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e"),
    *("escape", "first", "float", "format", "groupby", "indent", "int", "items", "join", "last"),
    *("length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse"),
    *("round", "safe", "select", "selectattr", "slice", "sort", "string", "title", "tojson"),
    *("trim", "truncate", "unique", "upper", "urlencode", "wordcount"),
)


class LimitError(SecurityError):
    """A template asked for more than it may have."""


class Meter:
    """What one rendering may still use."""

    def __init__(self, characters: int, seconds: float) -> None:
        self.characters = characters  # of one value, and of all that is put out
        self._left = characters
        self._values_left = VALUES * characters
        self._seconds = seconds
        self._end = time.thread_time() + seconds

    def tick(self, characters: int = 0) -> bool:
        """One step, which puts out so many characters."""
        self._left -= characters
        if self._left < 0:
            raise LimitError(f"it writes more than {self.characters:,} characters")
        if time.thread_time() > self._end:
            raise LimitError(f"it did not end within {self._seconds:g} s of computing")
        return True

    def fits(self, characters: int) -> None:
        """Whether a value of this size may be made."""
        if characters > self.characters:
            raise LimitError(f"it makes a value of more than {self.characters:,} characters")

    def checked(self, value: Any) -> Any:
        """The value, if it is one that a template may hold."""
        size = size_of(value, self.characters)
        self.fits(size)
        self._values_left -= size
        if self._values_left < 0:
            raise LimitError(f"it makes values of {VALUES} times {self.characters:,} characters")
        return value

    def counted(self, values: Iterator[Any]) -> Iterator[Any]:
        """The values, each of which costs a tick; all of them may become one value."""
        total = 0
        for value in values:
            self.tick()
            total += size_of(value, self.characters)
            self.fits(total)
            yield value


METER: ContextVar[Meter] = ContextVar("METER")


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """Jinja as `transformers` sets it up for chat templates, and metered. Needs a `METER`."""

    intercepted_binops = frozenset(OPERATORS)

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # nothing is computed before there is a meter
            finalize=_put_out,
            extensions=[_Generation, loopcontrols],
        )
        self.filters = {name: self.metered(name, self.filters[name]) for name in FILTERS}
        del self.globals["lipsum"]

    def metered(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter of this name whose work and results are counted."""
        growth = GROWTH.get(name)
        first = int(hasattr(function, "jinja_pass_arg"))  # the context, where a filter wants it

        @wraps(function)
        def filter(*args: Any, **kwargs: Any) -> Any:
            meter = METER.get()
            meter.tick()
            given = [
                meter.counted(value) if isinstance(value, Iterator) else value
                for value in args[first:]
            ]
            if growth is not None:
                given = [
                    meter.checked(list(value)) if isinstance(value, Iterator) else value
                    for value in given
                ]
                meter.fits(growth(*given, **kwargs))
            return meter.checked(function(*args[:first], *given, **kwargs))

        return filter

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        metered: nodes.Template = _Meters().visit(tree)
        return metered

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """A call of a macro, a function or a method; the names leave all keywords free."""
        meter = METER.get()
        if any(__obj is own for own in (meter_tick, meter_join, meter_checked)):
            return __obj(*args)
        meter.tick()
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if isinstance(owner, str | bytes | int | float):
            if not isinstance(owner, str) or name not in METHODS:
                raise SecurityError(f"the method {name!r} of {type(owner).__name__} is not allowed")
            if (growth := METHODS[name]) is not None:
                named = {k: v for k, v in kwargs.items() if k not in ("_loop_vars", "_block_vars")}
                meter.fits(growth(owner, *args, **named))
        return meter.checked(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """An arithmetic operator."""
        meter = METER.get()
        meter.tick()
        meter.fits(OPERATORS[operator](left, right))
        return meter.checked(super().call_binop(context, operator, left, right))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`"...".format`, refused where a width could make the result large."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        def guarded(*args: Any, **kwargs: Any) -> str:
            METER.get().fits(GROWTH["format"](value.__self__, *args, **kwargs))
            return wrapped(*args, **kwargs)

        return guarded


def meter_tick(characters: int) -> bool:
    """Stands at the beginning of each round of a loop and of each macro."""
    return METER.get().tick(characters)


def meter_join(*values: Any) -> str:
    """The operator `~`."""
    meter = METER.get()
    meter.tick()
    meter.fits(sum(size_of(value, meter.characters) for value in values))
    return "".join(map(str, values))


def meter_checked(value: Any) -> Any:
    """A list, tuple or dictionary that the template writes down."""
    METER.get().tick()
    return METER.get().checked(value)


@pass_context
def _put_out(context: Any, value: Any) -> Any:
    """All that stands in {{ }}."""
    meter = METER.get()
    meter.tick(size_of(value, meter.characters))
    return value


class _Meters(NodeTransformer):
    """Puts ticks into loops and macros, and checks around what makes values."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802
        self.generic_visit(node)
        node.body.insert(0, _tick(node, node.body))
        if node.test is not None:  # rounds that the test leaves out
            node.test = nodes.And(_metered("meter_tick", [nodes.Const(0)], node), node.test)
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Macro:  # noqa: N802
        self.generic_visit(node)
        node.body.insert(0, _tick(node, node.body))
        return node

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.CallBlock:  # noqa: N802
        self.generic_visit(node)
        node.body.insert(0, _tick(node, node.body))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _metered("meter_join", node.nodes, node)

    def visit_List(self, node: nodes.List) -> nodes.Expr:  # noqa: N802
        return self._literal(node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:  # noqa: N802
        return self._literal(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:  # noqa: N802
        return self._literal(node) if node.ctx == "load" else node

    def _literal(self, node: nodes.Expr) -> nodes.Expr:
        constant = all(isinstance(each, nodes.Const) for each in node.iter_child_nodes())
        self.generic_visit(node)
        return node if constant else _metered("meter_checked", [node], node)


def _tick(node: nodes.Node, body: list[nodes.Node]) -> nodes.Stmt:
    """A tick that costs what the body says in constants."""
    constants = 0
    for each in body:
        for leaf in (each, *each.find_all((nodes.TemplateData, nodes.Const))):
            text = getattr(leaf, "data", None) or getattr(leaf, "value", None)
            constants += len(text) if isinstance(text, str) else 0
    call = _metered("meter_tick", [nodes.Const(constants)], node)
    return nodes.ExprStmt(call, lineno=node.lineno)


def _metered(name: str, args: list[nodes.Expr], node: nodes.Node) -> nodes.Call:
    function = nodes.ImportedName(f"{__name__}.{name}", lineno=node.lineno)
    return nodes.Call(function, args, [], None, None, lineno=node.lineno)


class _Generation(Extension):
    """{% generation %}: marks what the model said, for training; the text is as without it."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)
