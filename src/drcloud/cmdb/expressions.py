"""Simple Jinja expressions as Python closures over a host's variables.

ansible-core compiles an expression anew for each host, 0.6 ms at a time. Most expressions of an inventory are
plain: a variable, a path into one, a comparison. Those are parsed once, by Jinja's own parser, and become
closures that give the same value as ansible-core 2.19 and later. Everything else is left to ansible-core:
what the grammar here does not know (``compile`` returns None), and at run time what only ansible-core can
tell (``AskJinjaError``). That both agree is tested with generated expressions and data.

The variables must be plain data: nothing in them is a template, so strings come out as they are.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Never

import jinja2
from jinja2 import filters, nodes, tests
from jinja2.parser import Parser

from drcloud.errors import InvalidInputError

Evaluate = Callable[[Mapping[str, Any]], Any]

_JINJA = jinja2.Environment(autoescape=False)  # noqa: S701 - it only parses, and what it parses makes no HTML

SCALARS = (str, int, float, bool, type(None))
# Attributes that plain values have themselves: Jinja would return the method `keys` for `host.keys`.
RESERVED = frozenset(name for kind in (*SCALARS, dict, list, tuple) for name in dir(kind))
# Names that mean something to Jinja or ansible-core where no variable of that name is set.
NOT_VARIABLES = {
    *("range", "dict", "lipsum", "cycler", "joiner", "namespace"),
    *("now", "undef", "omit", "lookup", "query", "q"),
    *("self", "super", "loop", "caller", "varargs", "kwargs", "result"),
}
TEMPLATE_MARKS = ("{{", "{%", "{#")


class ExpressionError(Exception):
    """An expression has no value for a host: something is undefined, or of a type that does not fit."""


class AskJinjaError(Exception):
    """Only ansible-core can tell what an expression means for a host."""


class _UnsupportedError(Exception):
    """The grammar has something that is not compiled."""


class _TrippedError(ExpressionError):
    """A missing value was used."""

    def __init__(self, missing: _Missing) -> None:
        super().__init__("a value that is not there was used")
        self.missing = missing


class _Missing:
    """What is not there: may be passed on and asked for, but not used, like ansible-core's markers."""

    __slots__ = ("undefined",)

    def __init__(self, undefined: bool = True) -> None:
        self.undefined = undefined  # False for the outcome of a filter that failed: no default helps

    def _trip(self, *_: object) -> Never:
        raise _TrippedError(self)

    __bool__ = __len__ = __iter__ = __contains__ = __hash__ = __str__ = __repr__ = _trip
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _trip
    __add__ = __radd__ = __sub__ = __rsub__ = __neg__ = __pos__ = _trip


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression that needs no Jinja: call it with a host's variables.

    Raises ``ExpressionError`` (or what Python raises for values that do not fit) where ansible-core has an
    error too, and ``AskJinjaError`` where it has to be asked.
    """

    text: str
    names: frozenset[str]
    evaluate: Evaluate

    def __call__(self, variables: Mapping[str, Any]) -> Any:
        """Return the expression's value: plain data of its own, sharing nothing with the variables."""
        value = self.evaluate(variables)
        return value if type(value) in SCALARS else _plain(value)


def compile(text: str) -> Compiled | None:  # noqa: A001 - what it does, and always called by its module
    """Return the expression as Python, None where it has to be left to ansible-core.

    Raises ``InvalidInputError`` for what is no expression at all.
    """
    if "\\" in text:
        return None  # what a backslash means depends on where ansible-core evaluates the expression
    tree = parse(text)
    names: set[str] = set()
    try:
        evaluate = _compile(tree, names)
    except (_UnsupportedError, RecursionError):
        return None
    return Compiled(text, frozenset(names), evaluate)


def parse(text: str) -> nodes.Expr:
    """Return the expression's tree; raises ``InvalidInputError`` when it does not parse."""
    try:
        parser = Parser(_JINJA, text, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail("there is more after the end of the expression")
    except jinja2.TemplateSyntaxError as error:
        hint = "; an expression stands without {{ }}" if any(mark in text for mark in TEMPLATE_MARKS) else ""
        raise InvalidInputError(f"the expression {text!r} does not parse: {error.message}{hint}") from error
    return tree


def _plain(value: Any) -> Any:
    if type(value) in SCALARS:
        return value
    if type(value) is dict:
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if type(value) is list or type(value) is tuple:
        return [_plain(inner) for inner in value]
    if isinstance(value, _Missing):
        raise _TrippedError(value)
    raise AskJinjaError(f"a value of type {type(value).__name__}")


def _compile(node: nodes.Node, names: set[str]) -> Evaluate:
    maker = _MAKERS.get(type(node))
    if maker is None:
        raise _UnsupportedError(type(node).__name__)
    return maker(node, names)


def _name(node: nodes.Name, names: set[str]) -> Evaluate:
    name = node.name
    if name in NOT_VARIABLES or name.startswith("_"):
        raise _UnsupportedError(name)
    names.add(name)

    def evaluate(variables: Mapping[str, Any]) -> Any:
        try:
            return variables[name]
        except KeyError:
            return _Missing()

    return evaluate


def _const(node: nodes.Const, _names: set[str]) -> Evaluate:
    value = node.value
    if isinstance(value, str) and any(mark in value for mark in (*TEMPLATE_MARKS, "#jinja2:")):
        raise _UnsupportedError("a template within an expression")
    if type(value) not in SCALARS or (isinstance(value, float) and not math.isfinite(value)):
        raise _UnsupportedError(type(value).__name__)
    return lambda _variables: value


def _getattr(node: nodes.Getattr, names: set[str]) -> Evaluate:
    if node.attr in RESERVED or node.attr.startswith("_"):
        raise _UnsupportedError(node.attr)
    return partial(_member, _compile(node.node, names), node.attr)


def _member(parent: Evaluate, name: str, variables: Mapping[str, Any]) -> Any:
    value = parent(variables)
    if type(value) is dict:
        return value[name] if name in value else _Missing()
    if isinstance(value, _Missing):
        return value
    if type(value) in SCALARS or type(value) in {list, tuple}:
        return _Missing()
    raise AskJinjaError(f"an attribute of a {type(value).__name__}")


def _getitem(node: nodes.Getitem, names: set[str]) -> Evaluate:
    return partial(_item, _compile(node.node, names), _compile(node.arg, names))


def _item(parent: Evaluate, argument: Evaluate, variables: Mapping[str, Any]) -> Any:
    value, key = parent(variables), argument(variables)
    if isinstance(value, _Missing):
        return value
    if isinstance(key, _Missing):
        raise _TrippedError(key)  # what is missing is no key of anything, and no default outside helps
    if type(value) not in SCALARS and type(value) not in {dict, list, tuple}:
        raise AskJinjaError(f"an item of a {type(value).__name__}")
    try:
        return value[key]
    except (TypeError, LookupError):
        if isinstance(key, str) and (key in RESERVED or key.startswith("_")):
            raise AskJinjaError(f"an attribute {key}") from None
        return _Missing()


def _compare(node: nodes.Compare, names: set[str]) -> Evaluate:
    first = _compile(node.expr, names)
    rest = [(_OPERATORS[operand.op], _compile(operand.expr, names)) for operand in node.ops]
    if len(rest) == 1:
        return partial(_compare_two, rest[0][0], first, rest[0][1])
    return partial(_compare_chain, first, rest)


def _compare_two(
    operate: Callable[[Any, Any], Any], left: Evaluate, right: Evaluate, variables: Mapping[str, Any]
) -> Any:
    return operate(left(variables), right(variables))


def _compare_chain(
    first: Evaluate,
    rest: list[tuple[Callable[[Any, Any], Any], Evaluate]],
    variables: Mapping[str, Any],
) -> Any:
    left, outcome = first(variables), True
    for operate, following in rest:
        right = following(variables)
        outcome = operate(left, right)
        if not outcome:
            break
        left = right
    return outcome


def _binary(node: nodes.BinExpr, names: set[str]) -> Evaluate:
    left, right = _compile(node.left, names), _compile(node.right, names)
    if isinstance(node, nodes.And):
        return lambda variables: left(variables) and right(variables)
    if isinstance(node, nodes.Or):
        return lambda variables: left(variables) or right(variables)
    return partial(_compare_two, _BINARY[type(node)], left, right)


def _unary(node: nodes.UnaryExpr, names: set[str]) -> Evaluate:
    inner, operate = _compile(node.node, names), _UNARY[type(node)]
    return lambda variables: operate(inner(variables))


def _concat(node: nodes.Concat, names: set[str]) -> Evaluate:
    parts = [_compile(part, names) for part in node.nodes]
    return lambda variables: "".join([str(part(variables)) for part in parts])


def _condition(node: nodes.CondExpr, names: set[str]) -> Evaluate:
    if node.expr2 is None:
        raise _UnsupportedError("no else: what Jinja has there is neither undefined nor a value")
    test, good, bad = (_compile(part, names) for part in (node.test, node.expr1, node.expr2))
    return lambda variables: good(variables) if test(variables) else bad(variables)


def _sequence(node: nodes.List | nodes.Tuple, names: set[str]) -> Evaluate:
    items, kind = [_compile(item, names) for item in node.items], _SEQUENCES[type(node)]
    return lambda variables: kind([item(variables) for item in items])


def _dict(node: nodes.Dict, names: set[str]) -> Evaluate:
    pairs = [(_compile(pair.key, names), _compile(pair.value, names)) for pair in node.items]
    return lambda variables: {key(variables): value(variables) for key, value in pairs}


def _filter(node: nodes.Filter, names: set[str]) -> Evaluate:
    if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
        raise _UnsupportedError("arguments of a filter")
    function = _FILTERS.get(node.name)
    if function is None:
        raise _UnsupportedError(f"filter {node.name}")
    return _call(function, node, names, takes_missing=function is _default)


def _test(node: nodes.Test, names: set[str]) -> Evaluate:
    function = _TESTS.get(node.name)
    if function is None or node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise _UnsupportedError(f"test {node.name}")
    return _call(function, node, names, takes_missing=function in {_is_defined, _is_undefined})


def _call(
    function: Callable[..., Any], node: nodes.Filter | nodes.Test, names: set[str], *, takes_missing: bool
) -> Evaluate:
    assert node.node is not None  # noqa: S101 - for the types: a filter without a node was refused
    given = [_compile(part, names) for part in (node.node, *node.args)]
    named = {str(pair.key): _compile(pair.value, names) for pair in node.kwargs}

    def evaluate(variables: Mapping[str, Any]) -> Any:
        arguments = [part(variables) for part in given]
        keywords = {name: part(variables) for name, part in named.items()}
        if not takes_missing:
            for value in (*arguments, *keywords.values()):
                if isinstance(value, _Missing):
                    return value
        try:
            return function(*arguments, **keywords)
        except _TrippedError as error:
            return error.missing
        except Exception:
            # ansible-core keeps the error as a value too: it counts only where the value is used.
            return _Missing(undefined=False)

    return evaluate


def _default(value: Any, default_value: Any = "", boolean: Any = False) -> Any:
    if type(boolean) is not bool:
        raise TypeError("boolean")
    if isinstance(value, _Missing) and value.undefined:
        return default_value
    return default_value if boolean and not value else value


def _is_defined(value: Any) -> Any:
    if isinstance(value, _Missing):
        return value if not value.undefined else False
    return True


def _is_undefined(value: Any) -> Any:
    if isinstance(value, _Missing):
        return value if not value.undefined else True
    return False


def _replace(value: Any, old: Any, new: Any, count: Any = None) -> str:
    return str(value).replace(str(old), str(new), -1 if count is None else count)


def _join(value: Any, d: Any = "") -> str:
    return str(d).join(map(str, value))


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda item, container: item in container,
    "notin": lambda item, container: item not in container,
}
_BINARY: dict[type[nodes.Node], Callable[[Any, Any], Any]] = {
    nodes.Add: operator.add,
    nodes.Sub: operator.sub,
}
_UNARY: dict[type[nodes.Node], Callable[[Any], Any]] = {
    nodes.Not: operator.not_,
    nodes.Neg: operator.neg,
    nodes.Pos: operator.pos,
}
_SEQUENCES: dict[type[nodes.Node], Callable[[list[Any]], Any]] = {nodes.List: list, nodes.Tuple: tuple}
_FILTERS: dict[str, Callable[..., Any]] = {
    "capitalize": filters.do_capitalize,
    "count": len,
    "d": _default,
    "default": _default,
    "int": filters.do_int,
    "join": _join,
    "length": len,
    "lower": filters.do_lower,
    "replace": _replace,
    "string": str,
    "title": filters.do_title,
    "trim": filters.do_trim,
    "upper": filters.do_upper,
}
_TESTS: dict[str, Callable[..., Any]] = {
    "boolean": tests.test_boolean,
    "defined": _is_defined,
    "integer": tests.test_integer,
    "mapping": tests.test_mapping,
    "none": tests.test_none,
    "number": tests.test_number,
    "string": tests.test_string,
    "undefined": _is_undefined,
}
_MAKERS: dict[type[nodes.Node], Callable[[Any, set[str]], Evaluate]] = {
    nodes.Name: _name,
    nodes.Const: _const,
    nodes.Getattr: _getattr,
    nodes.Getitem: _getitem,
    nodes.Compare: _compare,
    **dict.fromkeys((nodes.And, nodes.Or, *_BINARY), _binary),
    **dict.fromkeys(_UNARY, _unary),
    nodes.Concat: _concat,
    nodes.CondExpr: _condition,
    **dict.fromkeys(_SEQUENCES, _sequence),
    nodes.Dict: _dict,
    nodes.Filter: _filter,
    nodes.Test: _test,
}
