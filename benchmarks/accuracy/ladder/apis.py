"""Level 3, library calls: operator, function and method forms, positional and keyword arguments."""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m

from benchmarks.accuracy.ladder.effect import effect
from benchmarks.accuracy.ladder.expressions import exchanged
from benchmarks.accuracy.ladder.rewrite import Book, Rewrite, code

_ON_TENSORS = {
    "exp", "log", "sqrt", "abs", "sin", "cos", "tanh", "sigmoid", "softmax", "relu", "sum", "mean", "matmul",
    "bmm", "unsqueeze", "squeeze", "transpose", "reshape", "flatten", "clamp", "argmax", "cumsum", "gather",
    "chunk", "norm",
}  # fmt: skip
"""functions f of torch for which torch.f(x, ...) is x.f(...), x being a tensor"""
_PARAMETERS = {
    "torch.cat": ("tensors", "dim"), "torch.stack": ("tensors", "dim"), "torch.softmax": ("input", "dim"),
    "F.softmax": ("input", "dim"), "torch.unsqueeze": ("input", "dim"), "torch.argmax": ("input", "dim"),
    "np.concatenate": ("arrays", "axis"), "np.stack": ("arrays", "axis"), "np.sum": ("a", "axis"),
    "np.mean": ("a", "axis"), "np.zeros": ("shape", "dtype"), "np.ones": ("shape", "dtype"),
    "np.argmax": ("a", "axis"), "np.expand_dims": ("a", "axis"), "np.array": ("object", "dtype"),
    "np.repeat": ("a", "repeats", "axis"),
}  # fmt: skip
"""the first parameters of a function"""
_BY_POSITION = 1
"""arguments that stay positional"""
_TAKES_SEQUENCE = {
    "torch.cat",
    "torch.stack",
    "np.concatenate",
    "np.stack",
    "np.array",
    "np.zeros",
    "np.ones",
}


class OperatorForm(Rewrite):
    """torch.matmul(a, b) becomes `a @ b`, `a ** b` pow(a, b), torch.exp(x) x.exp(), x.size(0) x.shape[0], and
    x.unsqueeze(1) x[:, None].
    """

    def __init__(self, book: Book) -> None:
        super().__init__(book)
        self.has_torch = False

    def visit_Import(self, node: cst.Import) -> None:
        """Is torch at hand under its own name?"""
        self.has_torch |= any(code(alias).strip(" ,") == "torch" for alias in node.names)

    def leave_BinaryOperation(
        self, original_node: cst.BinaryOperation, updated_node: cst.BinaryOperation
    ) -> cst.BaseExpression:
        """Operators become functions."""
        if isinstance(updated_node.operator, cst.Power) and self.functions and self.drawn():
            return cst.parse_expression(f"pow({code(updated_node.left)}, {code(updated_node.right)})")
        return updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """Functions become operators and methods."""
        name, given = code(updated_node.func), updated_node.args
        if any(a.star or a.keyword for a in given[:1]) or not self.functions or not self.drawn():
            return updated_node
        if name == "torch.matmul" and len(given) == 2 and not given[1].keyword:
            return cst.parse_expression(f"(({code(given[0].value)}) @ ({code(given[1].value)}))")
        if name.startswith("torch.") and name[6:] in _ON_TENSORS and given and self.has_torch:
            rest = ", ".join(code(a.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for a in given[1:])
            return cst.parse_expression(f"({code(given[0].value)}).{name[6:]}({rest})")
        if name.endswith(".size") and len(given) <= 1 and self.has_torch:
            base = f"{name.removesuffix('.size')}.shape"
            return cst.parse_expression(f"{base}[{code(given[0].value)}]" if given else base)
        if name.endswith(".unsqueeze") and m.matches(updated_node, m.Call(args=[m.Arg(m.Integer())])):
            colons = ":, " * int(code(given[0].value))
            return cst.parse_expression(f"{name.removesuffix('.unsqueeze')}[{colons}None]")
        return updated_node


class Positional(Rewrite):
    """Arguments of well-known functions by position become keywords and back; keywords in another order."""

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        """Rewrite some calls."""
        if any(argument.star for argument in updated_node.args) or not self.drawn():
            return updated_node
        name, given = code(updated_node.func), list(updated_node.args)
        known = _PARAMETERS.get(name, ())
        if name in _TAKES_SEQUENCE and given and not given[0].keyword:
            given[0] = given[0].with_changes(value=exchanged(given[0].value))
        given = _other_way(given, known)
        first = next((at for at, argument in enumerate(given) if argument.keyword), len(given))
        named = given[first:]
        if all(effect(code(argument.value)).calm for argument in named):
            self.book.draw.shuffle(named)
        return updated_node.with_changes(args=[_plain(argument) for argument in given[:first] + named])


def _other_way(given: list[cst.Arg], known: tuple[str, ...]) -> list[cst.Arg]:
    """Arguments from the second on by name, if some stand by position; else those that may by position."""
    by_place = sum(argument.keyword is None for argument in given)
    if _BY_POSITION < by_place <= len(known):
        return [_keyword(known[at], a) if _BY_POSITION <= at < by_place else a for at, a in enumerate(given)]
    for at in range(max(by_place, _BY_POSITION), min(len(given), len(known))):
        keyword = given[at].keyword
        if by_place < _BY_POSITION or keyword is None or keyword.value != known[at]:
            break
        given[at] = given[at].with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT)
    return given


def _keyword(name: str, argument: cst.Arg) -> cst.Arg:
    return argument.with_changes(keyword=cst.Name(name))


def _plain(argument: cst.Arg) -> cst.Arg:
    return argument.with_changes(comma=cst.MaybeSentinel.DEFAULT)


class OwnPositional(Rewrite):
    """Positional arguments of functions of the same file are given by name."""

    def visit_Module(self, node: cst.Module) -> None:
        """Note the parameters of functions whose name is bound once."""
        uses = [s for s in node.body if isinstance(s, cst.FunctionDef)]
        bound = effect(node.code)
        self.known = {
            f.name.value: [p.name.value for p in f.params.params]
            for f in uses
            if not f.decorators
            and not f.params.posonly_params
            and sum(other.name.value == f.name.value for other in uses) == 1
            and f.name.value not in {n for n, c in bound.uses.items() if f"{n} = " in node.code and c}
        }

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        """Name the arguments from the second on."""
        names = self.known.get(code(updated_node.func))
        if not names or any(a.star or a.keyword for a in updated_node.args) or not self.drawn():
            return updated_node
        if len(updated_node.args) > len(names):
            return updated_node
        given = [
            _plain(argument if at < _BY_POSITION else _keyword(name, argument))
            for at, (name, argument) in enumerate(zip(names, updated_node.args, strict=False))
        ]
        return updated_node.with_changes(args=given)


class Literals(Rewrite):
    """`{}` and dict(), `[]` and list(), isinstance with several classes, f-strings and format."""

    def leave_Dict(self, original_node: cst.Dict, updated_node: cst.Dict) -> cst.BaseExpression:
        """Displays become calls."""
        keys = [e.key for e in updated_node.elements if isinstance(e, cst.DictElement)]
        texts = [key.evaluated_value if isinstance(key, cst.SimpleString) else None for key in keys]
        plain = [text for text in texts if isinstance(text, str) and text.isidentifier()]
        whole = len(plain) == len(updated_node.elements) == len(set(plain))
        if not whole or not self.functions or not self.drawn():
            return updated_node
        pairs = (f"{k}=({code(e.value)})" for k, e in zip(plain, updated_node.elements, strict=True))
        try:
            return cst.parse_expression(f"dict({', '.join(pairs)})")
        except cst.ParserSyntaxError:  # a key is a keyword of the language
            return updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """Calls become displays and tests."""
        name, given = code(updated_node.func), updated_node.args
        if not self.drawn():
            return updated_node
        if name in ("dict", "list") and not given:
            return cst.parse_expression("{}" if name == "dict" else "[]")
        if name == "isinstance" and len(given) == 2 and isinstance(given[1].value, cst.Tuple):
            what, kinds = code(given[0].value), given[1].value.elements
            if kinds and effect(what).calm and not any(isinstance(k, cst.StarredElement) for k in kinds):
                tests = (f"isinstance({what}, {code(kind.value)})" for kind in kinds)
                return cst.parse_expression(f"({' or '.join(tests)})")
        return updated_node

    def leave_FormattedString(
        self, original_node: cst.FormattedString, updated_node: cst.FormattedString
    ) -> cst.BaseExpression:
        """f"{a}" becomes "{}".format(a)."""
        if updated_node.start.lower() not in ("f'", 'f"') or not self.functions or not self.drawn(0.5):
            return updated_node
        text, values = "", []
        for part in updated_node.parts:
            if isinstance(part, cst.FormattedStringText):
                text += part.value
            elif isinstance(part, cst.FormattedStringExpression) and not part.format_spec and not part.equal:
                text += f"{{!{part.conversion}}}" if part.conversion else "{}"
                values.append(code(part.expression))
            else:
                return updated_node
        if not values or any("yield" in value or "await" in value for value in values):
            return updated_node
        return cst.parse_expression(
            f"{updated_node.start[1:]}{text}{updated_node.end}.format({', '.join(values)})"
        )
