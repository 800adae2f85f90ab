"""House rules: what is written is finished, explained and provable."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

Modules = dict[str, ast.Module]

# Put together here, so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME"]) + r")\b")
STUB = "NotImplemented" + "Error"
EXEMPTION = re.compile(
    r"type:\s*ignore(\[[^\]]*\])?|noqa(:\s*[A-Z]+\d+(\s*,\s*[A-Z]+\d+)*)?|pragma:\s*no cover"
)
REASON_LETTERS_MIN = 8


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Yields the line number and the text of every comment."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_every_source_says_what_it_is(sources: Modules) -> None:
    """Every source begins with a docstring."""
    assert not [name for name, tree in sources.items() if not ast.get_docstring(tree)]


def test_nothing_is_left_for_later(texts: dict[str, str]) -> None:
    """No file says that something is still to be done."""
    left = [
        f"{name}:{number}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line) or (STUB in line and name.endswith(".py"))
    ]
    assert not left, "\n".join(left)


def test_only_protocols_have_empty_functions(sources: Modules) -> None:
    """A function whose body is an ellipsis stands in a protocol or is an overload."""
    stubs = []
    for name, tree in sources.items():
        declared = {
            function
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and "Protocol" in map(base_name, node.bases)
            for function in functions(node)
        }
        for function in functions(tree):
            overload = "overload" in map(base_name, function.decorator_list)
            last = function.body[-1]
            empty = isinstance(last, ast.Expr) and ast.unparse(last) == "..."
            if empty and not overload and function not in declared:
                stubs.append(f"{name}:{function.lineno} {function.name}")
    assert not stubs, "\n".join(stubs)


def base_name(node: ast.expr) -> str:
    """Gives `Protocol` for Protocol, Protocol[T] and typing.Protocol."""
    return ast.unparse(node).split("[")[0].split(".")[-1]


def test_exemptions_give_a_reason(parsed: Modules, texts: dict[str, str]) -> None:
    """Whoever silences a checker says why, on the same line."""
    silent = [
        f"{name}:{number} {comment}"
        for name in parsed
        for number, comment in comments(texts[name])
        if EXEMPTION.search(comment)
        and len(re.findall(r"[^\W\d_]", EXEMPTION.sub("", comment))) < REASON_LETTERS_MIN
    ]
    assert not silent, "\n".join(silent)


def test_skipped_tests_give_a_reason(test_modules: Modules) -> None:
    """A test that is skipped, or expected to fail, says why."""
    silent = []
    for name, tree in test_modules.items():
        calls = {node.func: node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute):
                continue
            if not re.search(
                r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)$", ast.unparse(node)
            ):
                continue
            call = calls.get(node)
            named = call is not None and any(word.arg == "reason" for word in call.keywords)
            placed = call is not None and node.attr in {"skip", "xfail"} and call.args
            if not (named or placed):
                silent.append(f"{name}:{node.lineno} {ast.unparse(node)}")
    assert not silent, "\n".join(silent)


def test_tests_state_their_behaviour(test_modules: Modules) -> None:
    """Every test has a docstring that is a sentence."""
    silent = [
        f"{name}:{function.lineno} {function.name}"
        for name, tree in test_modules.items()
        for function in functions(tree)
        if function.name.startswith("test_") and not is_fixture(function)
        if not (ast.get_docstring(function) or "").endswith(".")
    ]
    assert not silent, "\n".join(silent)


def is_fixture(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("fixture" in ast.unparse(node) for node in function.decorator_list)


def test_tests_do_not_sleep(test_modules: Modules) -> None:
    """No test waits for real time to pass: it has virtual time or waits for a signal."""
    sleepers = [
        f"{name}:{node.lineno}"
        for name, tree in test_modules.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and ast.unparse(node) == "time.sleep")
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "time"
            and any(alias.name == "sleep" for alias in node.names)
        )
    ]
    assert not sleepers, "\n".join(sleepers)
