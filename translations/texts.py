"""All texts of the interface, read from the code, and the notes of the models that come with it.

Most stand in the call, `_("Stop")`, or `NoRoomError("The disk is full.")`: what `llm` and
`storage` say is worded as in `llm.wording`. A call such as `_(_LABELS[state])` takes its text
from a table of its module: then all that the table holds are texts. Babel's own reader is not
enough here: before Python 3.12 it passes over calls within f-strings.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog

from llm.catalog import SHIPPED, parse_catalog

ROOT = Path(__file__).parent.parent

CHOSEN_FROM = {
    ("components/figures.py", "note"): "_ENDINGS[ending]",
    ("components/memory_lab.py", "answer.memory.strategy.label"): "STRATEGIES[key].label",
    ("components/picture_prompts.py", "name"): "list(IMAGE_TASKS)",
    ("components/picture_prompts.py", "preset"): "list(PICTURE_SYSTEMS)",
    ("components/race_setup.py", "name"): "list(PRESETS)",
    ("components/race_votes.py", "label"): "_CHOICES[choice]",
    ("llm/engine_kinds.py", "sentence"): "LAST_WORDS[number][2]",
    ("llm/picture_files.py", "what"): "_STRANGERS[number][1]",
}
"""File, and what a call gets there from a variable -> the table that this comes from."""

ALSO_WORDED = {
    ("llm/engine_kinds.py", "error"),
    ("llm/images.py", "type(error)"),
    ("llm/transcript_import.py", "_refused"),
}
"""File, and what is called there with a text like a class of `llm.wording` or `llm.errors`."""

PASSED_ON = {
    ("components/model_card.py", "spec.notes"),
    ("llm/evaluation_runs.py", "error.wording.template"),
    ("llm/transcript_import.py", "template"),
    ("llm/wording.py", "template"),
}
"""File, and what a call gets there that was found where it was written."""


def python_files() -> list[Path]:
    """The files that draw, `navigation.py`, the pages and the components, and those below."""
    return [ROOT / "navigation.py",
            *sorted(path for folder in ("pages", "components", "llm", "storage")
                    for path in (ROOT / folder).rglob("*.py"))]


def extract() -> Catalog:
    """Every text, with the files that it stands in.

    Raises LookupError, with the place, where a call's text can be told neither from the
    call nor from a table: add the table to `CHOSEN_FROM`.
    """
    catalog = Catalog(project="Parley", fuzzy=False)
    for path in python_files():
        name = path.relative_to(ROOT).as_posix()
        for text in _texts_of(path, name):
            catalog.add(text, locations=[(name, None)])
    for spec in parse_catalog(SHIPPED.read_bytes(), source=SHIPPED.name):
        catalog.add(spec.notes, locations=[("llm/catalog.toml", None)])
    return catalog


def _texts_of(path: Path, name: str) -> Iterator[str]:
    """What the calls in a file can be given."""
    tree = _tree(path)
    for call in calls_of(path, name):
        if isinstance(call.args[0], ast.Constant):
            yield call.args[0].value
            continue
        written = ast.unparse(call.args[0])
        if (name, written) in PASSED_ON:
            continue
        source = ast.parse(CHOSEN_FROM.get((name, written), written), mode="eval").body
        try:
            found = _values(source, name, tree)
        except (LookupError, AttributeError, TypeError, ImportError) as error:
            raise LookupError(
                f"{name}:{call.lineno}: which texts are {ast.unparse(call)}?") from error
        yield from found


def calls_of(path: Path, name: str) -> Iterator[ast.Call]:
    """The calls in a file that are given a text of the interface."""
    draws = not name.startswith(("llm/", "storage/"))
    for call in ast.walk(_tree(path)):
        if isinstance(call, ast.Call) and call.args:
            called = ast.unparse(call.func).removeprefix("errors.")
            if called in worded_classes() or (name, called) in ALSO_WORDED \
                    or draws and called == "_":
                yield call


@functools.cache
def worded_classes() -> set[str]:
    """`Wording`, and the names of all errors that say what is wrong in one."""
    bases = {node.name: {ast.unparse(base) for base in node.bases} for path in python_files()
             for node in ast.walk(_tree(path)) if isinstance(node, ast.ClassDef)}
    found = {"Wording", "WordedError"}
    while more := {name for name, its in bases.items() if its & found} - found:
        found |= more
    return found


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _values(node: ast.expr, name: str, tree: ast.Module) -> list[Any]:
    """All that an expression can be, whatever its variables are."""
    match node:
        case ast.Name(id=variable):
            return [_global(variable, name, tree)]
        case ast.Subscript(value=table, slice=ast.Constant(value=key)):
            return [value[key] for value in _values(table, name, tree)]
        case (ast.Subscript(value=table) | ast.Call(func=ast.Attribute(value=table, attr="get"))):
            return [value for held in _values(table, name, tree)
                    for value in (held.values() if isinstance(held, Mapping) else held)]
        case ast.Call(func=ast.Name(id="list"), args=[table]):
            return [key for held in _values(table, name, tree) for key in held]
        case ast.Attribute(value=held, attr=attribute):
            return [getattr(value, attribute) for value in _values(held, name, tree)]
    raise LookupError(ast.unparse(node))


def _global(variable: str, name: str, tree: ast.Module) -> Any:
    """A module's name, or what a page, which cannot be imported, imports under it."""
    if name.startswith(("components/", "llm/", "storage/")):
        return getattr(import_module(name.removesuffix(".py").replace("/", ".")), variable)
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module:
            for alias in statement.names:
                if (alias.asname or alias.name) == variable:
                    return getattr(import_module(statement.module), alias.name)
    raise LookupError(variable)
