"""Prompt sets: typed text, CSV or JSON Lines, with variables and, if wanted, checks.

- Text: one prompt a line.
- CSV: a header, then a row for each prompt. The columns `prompt`, `system`, `tag`,
  `expected` (the answer must contain it), `reference` (the answer is compared with it by
  chrF) and `checks` (a JSON list, see `llm.checks`) have a meaning; every column is also a
  variable, so that `{city}` in a prompt becomes what the row's column `city` holds.
- JSON Lines, or one JSON list: objects with the same names; `expected` and `reference` may
  be lists.

A variable is a column's name in braces and nothing else: all other braces are text, and so
are those in a value. Files come from anybody: they are bounded, taken in whole or not at
all, and an error names the row.

This module does not know models, nor how prompts are run.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from llm.checks import Check, ChrF, Contains
from llm.errors import ImportRefusedError
from llm.wording import Wording, WrongValueError, first_fault

SHIPPED = Path(__file__).with_name("prompt_sets")
MAX_BYTES = 5_000_000
MAX_PROMPTS = 10_000
MAX_PROMPT = 100_000
"""Characters, after the variables are filled in."""
MAX_COLUMNS = 100

Form = Literal["text", "csv", "jsonl"]

_VARIABLE = re.compile(r"\{([^{}\n]{1,100})\}")
_SPECIAL = ("prompt", "system", "tag", "expected", "reference", "checks")


class Prompt(BaseModel):
    """One prompt of a set, its variables filled in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1)
    """Its place in the set, from 1."""
    prompt: str = Field(min_length=1, max_length=MAX_PROMPT, pattern=r"\S")
    system: str = Field(default="", max_length=MAX_PROMPT)
    tag: str = Field(default="", max_length=100)
    expected: tuple[str, ...] = ()
    """Right answers, for people and for a judge to see."""
    checks: Annotated[tuple[Check, ...], Field(max_length=20)] = ()


@dataclass(frozen=True)
class PromptSet:
    name: str
    prompts: tuple[Prompt, ...]
    notes: tuple[Wording, ...] = ()
    """What looks like a slip, in plain words: a variable without a column, a column unused."""

    @property
    def fingerprint(self) -> str:
        """The same for the same prompts in the same order, whatever file they came in."""
        return fingerprint(self.prompts)


def fingerprint(prompts: Iterable[Prompt]) -> str:
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(prompt.model_dump_json(by_alias=True).encode() + b"\n")
    return digest.hexdigest()


def list_shipped() -> list[str]:
    """The names of the sets that come with Parley."""
    return sorted(path.stem for path in SHIPPED.glob("*.jsonl"))


def load_prompt_set(source: str | Path, *, template: str | None = None) -> PromptSet:
    """A set by the name of a shipped one, or by its path: .csv, .jsonl, anything else is text.

    Raises `ImportRefusedError`.
    """
    if source in list_shipped():
        path = SHIPPED / f"{source}.jsonl"
    else:
        path = Path(source)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        shipped = ", ".join(list_shipped())
        raise ImportRefusedError(
            "{source} cannot be read ({reason}). "
            "Give a file's path, or one of the sets that come with Parley: {shipped}.",
            source=str(source)[:200], reason=getattr(error, "strerror", None) or error,
            shipped=shipped,
        ) from error
    return parse_prompt_set(data, name=path.stem, form=form_of(path.name), template=template)


def form_of(filename: str) -> Form:
    """What a file holds, by the end of its name."""
    ending = filename.rpartition(".")[2].lower()
    return {"csv": "csv", "tsv": "csv", "jsonl": "jsonl", "ndjson": "jsonl",
            "json": "jsonl"}.get(ending, "text")


def parse_prompt_set(data: bytes, *, name: str, form: Form, template: str | None = None
                     ) -> PromptSet:
    """The prompts in a file's bytes, or in what somebody typed.

    `template` is the prompt of each row that has none of its own. All or nothing: raises
    `ImportRefusedError`, naming the row that is wrong.
    """
    if len(data) > MAX_BYTES:
        raise ImportRefusedError(
            "This prompt set has more than {most:.0f} MB. Split it.",
            most=MAX_BYTES / 1e6)
    # Windows' "Unicode" files are UTF-16, with a mark that says so.
    encoding = "utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # UTF-16 without its mark is UTF-8 by chance, a NUL at every other place.
        raise ImportRefusedError(
            "This prompt set is not UTF-8 text. Save it as UTF-8 (in Excel: “CSV UTF-8”).")
    rows = {"text": _text_rows, "csv": _csv_rows, "jsonl": _jsonl_rows}[form](text)
    prompts: list[Prompt] = []
    used: set[str] = set()
    columns: dict[str, None] = {}
    unfilled: dict[str, int] = {}
    for where, row in rows:
        columns.update(dict.fromkeys(row))
        prompts.append(_prompt(where, row, template, len(prompts) + 1, used, unfilled))
        if len(prompts) > MAX_PROMPTS:
            raise ImportRefusedError("This prompt set has more than {most:,} prompts.",
                                     most=MAX_PROMPTS)
    if not prompts:
        raise ImportRefusedError("There are no prompts in it.")
    notes = [Wording("{variable} in prompt {number} stays as it is: there is no such column.",
                     variable=f"{{{variable}}}", number=number)
             for variable, number in unfilled.items() if set(columns) - {*_SPECIAL}
             and variable.isidentifier()]  # Other braces are meant: JSON, a program.
    notes += [Wording("The column “{column}” is not used in any prompt.", column=column)
              for column in columns if column not in used and column not in _SPECIAL]
    return PromptSet(name, tuple(prompts), tuple(notes))


def variables_in(template: str) -> list[str]:
    """The names in braces that a prompt asks for, each once, in order."""
    return list(dict.fromkeys(_VARIABLE.findall(template)))


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with each `{name}` that is in `values` replaced, once; all else is text.

    Raises ValueError if it would become longer than `MAX_PROMPT`.
    """
    growth = sum(len(values[name]) for name in _VARIABLE.findall(template) if name in values)
    if len(template) + growth > 2 * MAX_PROMPT:
        raise WrongValueError("filled in, it has more than {most:,} characters",
                              most=MAX_PROMPT)
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), template)


def _prompt(where: Wording, row: Mapping[str, Any], template: str | None, number: int,
            used: set[str], unfilled: dict[str, int]) -> Prompt:
    values = {name: str(value) for name, value in row.items()
              if isinstance(value, str | int | float) and not isinstance(value, bool)}
    written = row.get("prompt") or template or ""
    try:
        if not isinstance(written, str) or not isinstance(row.get("system") or "", str):
            raise WrongValueError("prompt and system must be text")
        checks = row.get("checks") if row.get("checks") not in (None, "") else []
        if not isinstance(checks, list):
            raise WrongValueError("checks is not a JSON list")
        names = variables_in(written + (row.get("system") or ""))
        used.update(names)
        for name in names:
            if name in row and name not in values:
                raise WrongValueError("“{name}” must be text or a number", name=name)
            if name not in values:
                unfilled.setdefault(name, number)
        expected, reference = _texts(row.get("expected")), _texts(row.get("reference"))
        checks = [*checks, *([Contains(text=expected)] if expected else []),
                  *([ChrF(reference=reference)] if reference else [])]
        return Prompt(number=number, prompt=fill(written, values),
                      system=fill(row.get("system") or "", values),
                      tag=values.get("tag", row.get("tag") or ""),
                      expected=expected or reference, checks=tuple(checks))
    except ValidationError as error:
        place, fault = first_fault(error)
        missing = place == "prompt" and not written.strip()
        reason = _no_prompt(row) if missing \
            else Wording("{place}: {reason}", place=place, reason=fault)
        raise ImportRefusedError("{where}: {reason}.", where=where, reason=reason) from error
    except (ValueError, TypeError) as error:
        raise ImportRefusedError("{where}: {reason}.", where=where, reason=error) from error


def _no_prompt(row: Mapping[str, Any]) -> Wording:
    if "prompt" in row:
        return Wording("it holds no prompt")
    return Wording("it holds no prompt: none of its columns is called “prompt” ({columns})",
                   columns=", ".join(row)[:200])


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [] if value in (None, "") else [value]
    if not all(isinstance(text, str | int | float) and str(text).strip() for text in values):
        raise WrongValueError("expected and reference must be text, or lists of texts")
    return tuple(map(str, values))


def _text_rows(text: str) -> Iterator[tuple[Wording, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield Wording("Line {number}", number=number), {"prompt": line.strip()}


def _jsonl_rows(text: str) -> Iterator[tuple[Wording, dict[str, Any]]]:
    for where, row in _json_list(text) if text.lstrip().startswith("[") else _json_lines(text):
        if not isinstance(row, dict) or len(row) > MAX_COLUMNS:
            raise ImportRefusedError("{where} is not a JSON object of at most {most} names.",
                                     where=where, most=MAX_COLUMNS)
        yield where, {_column(name): value for name, value in row.items()}


def _json_lines(text: str) -> Iterator[tuple[Wording, Any]]:
    # By \n alone: JSON strings may hold other line breaks as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield Wording("Line {number}", number=number), from_json(line, allow_inf_nan=False)
        except ValueError as error:
            raise ImportRefusedError(
                "Line {number} is not JSON: {reason}. Each line must hold one whole object.",
                number=number, reason=error) from error


def _json_list(text: str) -> Iterator[tuple[Wording, Any]]:
    try:
        rows = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise ImportRefusedError("This list is not JSON: {reason}.", reason=error) from error
    for number, row in enumerate(rows, start=1):
        yield Wording("Entry {number}", number=number), row


def _csv_rows(text: str) -> Iterator[tuple[Wording, dict[str, Any]]]:
    header_line = text.lstrip().partition("\n")[0]
    # Spreadsheets write the separator of the country they run in.
    separator = max(",;\t", key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [_column(name) for name in next(filter(any, reader), [])]
        while header and not header[-1]:  # Spreadsheets write empty columns at the end.
            header.pop()
        if not header:
            return
        _check_header(header)
        for row in reader:
            where = Wording("Row {number}", number=reader.line_num)
            if not any(cell.strip() for cell in row):
                continue
            while len(row) > len(header) and not row[-1].strip():
                row.pop()
            if len(row) > len(header):
                raise ImportRefusedError(
                    "{where}: it has {cells} cells, the header has {columns}. A text with a "
                    "comma, or whatever parts the cells, must stand in double quotes.",
                    where=where, cells=len(row), columns=len(header))
            named: dict[str, Any] = dict(zip(header, row, strict=False))
            if checks := named.pop("checks", "").strip():
                named["checks"] = _checks_cell(where, checks)
            yield where, named
    except csv.Error as error:
        raise ImportRefusedError("Row {number} is not CSV: {reason}.",
                                 number=reader.line_num, reason=error) from error


def _column(name: str) -> str:
    """A column's name. Those that mean something may be written large: Prompt, TAG."""
    name = name.strip()
    return name.casefold() if name.casefold() in _SPECIAL else name


def _check_header(header: Sequence[str]) -> None:
    if len(header) > MAX_COLUMNS:
        raise ImportRefusedError("The header must have 1 to {most} columns.",
                                 most=MAX_COLUMNS)
    if len(set(header)) < len(header) or not all(header):
        raise ImportRefusedError("The header must give each column a name of its own.")


def _checks_cell(where: Wording, cell: str) -> Any:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise ImportRefusedError("{where}: checks is not JSON.", where=where) from error
