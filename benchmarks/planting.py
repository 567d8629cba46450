"""Small errors to plant in a Python file: what stands where, and what may stand there instead."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

_OTHER: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
_NAMES = {
    "maximum": "minimum",
    "minimum": "maximum",
    "max": "min",
    "min": "max",
    "argmax": "argmin",
    "argmin": "argmax",
    "floor": "ceil",
    "ceil": "floor",
    "log1p": "log",
    "expm1": "exp",
    "any": "all",
    "all": "any",
}

Key = tuple[str, str, int, str, str]


@dataclass(frozen=True)
class Mutant:
    """One planted error: where, what stood there, and what stands there now.

    `nth` counts equal texts of a function, so that a mutant outlives lines that move.
    """

    file: str
    function: str
    nth: int
    before: str
    after: str
    line: int
    status: str = ""
    by: str = ""
    why: str = ""

    @property
    def key(self) -> Key:
        """What says which mutant it is."""
        return self.file, self.function, self.nth, self.before, self.after


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    match node:
        case ast.BinOp(left, op, right):
            for other in _OTHER.get(type(op), ()):
                yield ast.BinOp(left, other(), right)
            if isinstance(op, ast.Add | ast.Sub | ast.Mult | ast.Div):
                yield left
        case ast.Compare(left, [op], [right]):
            for other in _OTHER.get(type(op), ()):
                yield ast.Compare(left, [other()], [right])
        case ast.BoolOp(op, values):
            yield ast.BoolOp(_OTHER[type(op)][0](), values)
        case ast.UnaryOp(ast.USub() | ast.Invert() | ast.Not(), operand):
            yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() as value):
            yield ast.Constant(value + 1)
            if value > 1:
                yield ast.Constant(value - 1)
        case ast.Constant(float() as value):
            yield ast.Constant(1.01 * value if value else 1.0)
        case ast.Call(called, arguments, keywords):
            if isinstance(called, ast.Attribute) and called.attr in _NAMES:
                new = ast.Attribute(called.value, _NAMES[called.attr], ast.Load())
                yield ast.Call(new, arguments, keywords)
            for i in range(len(arguments) - 1):
                one, two = arguments[i : i + 2]
                if ast.dump(one) != ast.dump(two) and not (
                    _loud(called, one) or _loud(called, two)
                ):
                    yield ast.Call(
                        called, [*arguments[:i], two, one, *arguments[i + 2 :]], keywords
                    )


def _loud(called: ast.expr, argument: ast.expr) -> bool:
    """Whether to swap this argument would change nothing or end in an error at once."""
    name = ast.unparse(called).rpartition(".")[2]
    if name in (
        "maximum",
        "minimum",
        "max",
        "min",
        "scan",
        "map",
        "while_loop",
        "fori_loop",
        "cond",
    ):
        return True
    return isinstance(argument, ast.Lambda | ast.Tuple) or (
        isinstance(argument, ast.Constant) and isinstance(argument.value, str | None)
    )


def sites(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Expressions that compute, each with the name of the function around it."""

    def visit(node: ast.AST, name: str) -> Iterator[tuple[ast.expr, str]]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inside = f"{name}.{node.name}" if name else node.name
            defaults = (
                [d for d in node.args.kw_defaults + node.args.defaults if d]
                if isinstance(node, ast.FunctionDef)
                else []
            )
            for child in [*defaults, *node.body]:
                yield from visit(child, inside)
            return
        # Messages, annotations and imports compute nothing.
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
            return
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield from visit(node.value, name)
            return
        if isinstance(node, ast.expr):
            yield node, name
        for child in ast.iter_child_nodes(node):
            yield from visit(child, name)

    yield from visit(tree, "")


def planted(source: str, file: str) -> Iterator[tuple[Mutant, Callable[[], str]]]:
    """Every mutant of a file, with what makes the text of the file that has it."""
    raw = source.encode()
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    seen: Counter[tuple[str, str, str]] = Counter()
    for node, function in sites(ast.parse(source)):
        before = ast.unparse(node)
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        for after in map(ast.unparse, variants(node)):
            nth = seen[function, before, after]
            seen[function, before, after] += 1
            if after == before:
                continue
            yield (
                Mutant(file, function, nth, before, after, node.lineno),
                partial(_spliced, raw, begin, end, after),
            )


def _spliced(raw: bytes, begin: int, end: int, text: str) -> str:
    return (raw[:begin] + f"({text})".encode() + raw[end:]).decode()
