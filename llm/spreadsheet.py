"""Rows as CSV for spreadsheets, in which nothing is run. Knows nothing of what they hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


def to_csv(rows: Sequence[Mapping[str, Any]], *, when_empty: Sequence[str]) -> str:
    """The rows under their names, which the first row tells; `when_empty`: those of no rows.

    A cell that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    target = io.StringIO()
    writer = csv.DictWriter(target, fieldnames=list(rows[0]) if rows else list(when_empty))
    writer.writeheader()
    writer.writerows({name: _inert(value) for name, value in row.items()} for row in rows)
    return target.getvalue()


def _inert(value: Any) -> Any:
    if isinstance(value, str) and (value.startswith(("\t", "\r"))
                                   or value.lstrip().startswith(("=", "+", "-", "@"))):
        return "'" + value
    return value
