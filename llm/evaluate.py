"""Evaluate models on a prompt set from the command line.

    python -m llm.evaluate translation --models smollm2-135m gpt-6-luna --out results
    python -m llm.evaluate prompts.csv --models a b --out results --runs 3 --max-usd 2
    python -m llm.evaluate --resume --out results

PROMPTS is a file (.csv, .jsonl, or text with a prompt a line) or a set that comes with
Parley. The folder gets journal.jsonl while it runs, then results.csv, results.jsonl and
report.html; the app opens it too. Keys come from the environment.

It ends with
    0  every row has run and none failed
    1  every row has run, but some failed, or a model is under --fail-under
    2  it could not begin: the arguments, the prompt set or the folder are wrong
    3  it stopped before the end (Ctrl-C, the limit on spending, a model that cannot go on):
       --resume runs what is left
    4  the results could not be written
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from llm.errors import ImportRefusedError, ParleyError, StorageError
from llm.evaluation import Evaluation, make_plan, unsent_settings
from llm.journal import Plan, read_folder
from llm.lanes import Progress, State
from llm.prompt_sets import list_shipped, load_prompt_set
from llm.results import Results
from llm.spending import estimate

LINE_SECONDS = 10.0
"""How often a line is printed where there is no terminal to draw it in place."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one evaluation. Returns the exit code."""
    options = _parse(arguments)
    try:
        evaluation = _prepare(options)
        if evaluation is None:
            return 0
    except ParleyError as error:
        print(error, file=sys.stderr)
        return 2
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        print(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.", file=sys.stderr)
        return 2
    progress = _run(evaluation)
    return _conclude(progress, evaluation.results, evaluation.folder, options.fail_under)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    assert __doc__ is not None
    summary, _, rest = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m llm.evaluate", description=summary, epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("prompts", nargs="?", metavar="PROMPTS",
        help=f"a file, or one of: {', '.join(list_shipped())}")
    add("--models", nargs="+", metavar="ID", help="the catalog's ids")
    add("--out", type=Path, required=True, metavar="DIR", help="a folder for the results")
    add("--resume", action="store_true", help="go on with what is in DIR")
    add("--retry-failed", action="store_true", help="with --resume: run failed rows again")
    add("--runs", type=int, default=1, help="how often each prompt runs")
    add("--system", default="", help="for prompts without an instruction of their own")
    add("--template", help="the prompt, with {names} of the file's columns")
    add("--temperature", type=float, nargs="+", metavar="T",
        help="several: each prompt runs with each")
    add("--top-p", type=float)
    add("--max-tokens", type=int)
    add("--seed", type=int)
    add("--judge", metavar="ID", help="a model that compares the answers two by two")
    add("--parallel", nargs="+", default=[], type=_parallel, metavar="N",
        help="calls at once for each model, as N or as ID=N")
    add("--max-usd", type=float, help="stop before more than this is spent")
    add("--estimate", action="store_true", help="say what it may cost, and do not begin")
    add("--fail-under", type=float, metavar="SHARE",
        help="end with 1 if a model's mean score, 0 to 1, is under this")
    options = parser.parse_args(arguments)
    if options.resume:
        if bool(options.models) != bool(options.prompts):
            parser.error("with --resume give both PROMPTS and --models, or neither")
    elif not (options.prompts and options.models):
        parser.error("give PROMPTS and --models, or --resume")
    elif options.retry_failed:
        parser.error("--retry-failed goes with --resume")
    return options


def _prepare(options: argparse.Namespace) -> Evaluation | None:
    """The evaluation to run; None if only an estimate was wanted."""
    plan = _plan(options) if options.prompts else None
    before = read_folder(options.out) if options.resume else None
    if before and plan and not before.plan.same_work_as(plan):
        raise StorageError(
            "{folder} holds an evaluation of other prompts, models or settings. Leave "
            "PROMPTS and --models out to go on with that one, or choose another folder.",
            folder=options.out)
    if before:
        plan = before.plan
    assert plan is not None
    if options.fail_under is not None and not any(prompt.checks for prompt in plan.prompts):
        raise ImportRefusedError("--fail-under needs a prompt with a check, and there is none.")
    for note in unsent_settings(plan):
        print(note, file=sys.stderr)
    _print_estimate(plan, done=len(before.rows) if before else 0)
    if options.estimate:
        return None
    run: dict[str, Any] = {"parallel": dict(options.parallel), "max_usd": options.max_usd}
    if before:
        return Evaluation.take_up(options.out, retry_failed=options.retry_failed, **run)
    return Evaluation.begin(plan, options.out, **run)


def _plan(options: argparse.Namespace) -> Plan:
    prompt_set = load_prompt_set(options.prompts, template=options.template)
    for note in prompt_set.notes:
        print(note, file=sys.stderr)
    shared = {"top_p": options.top_p, "max_tokens": options.max_tokens, "seed": options.seed}
    shared = {name: value for name, value in shared.items() if value is not None}
    settings = [{"temperature": temperature, **shared} for temperature in options.temperature or ()]
    return make_plan(prompt_set, options.models, runs=options.runs, system=options.system,
                     settings=settings or [shared], judge=options.judge)


def _parallel(word: str) -> tuple[str | None, int]:
    model, _, number = word.rpartition("=")
    if not number.isdecimal() or not 1 <= int(number) <= 100:
        raise argparse.ArgumentTypeError(f"{word}: give a number from 1 to 100, or ID=N")
    return model or None, int(number)


def _print_estimate(plan: Plan, *, done: int) -> None:
    found = estimate(plan)
    print(f"{found.calls} calls in all" + (f", {done} of them done" if done else ""))
    for model in found.models:
        role = " (judge)" if model.is_judge else ""
        usd = "no price is known" if model.usd is None else f"{_usd(model.usd)} at most"
        usd = "runs on this machine" if model.usd == 0 and not model.source else usd
        source = f", {model.source}" if model.source else ""
        print(f"  {model.label}{role}: {model.calls} calls, about {model.input_tokens:,} tokens in "
              f"and {model.output_tokens:,} out; {usd}{source}")
    sys.stdout.flush()


# ── While it runs ─────────────────────────────────────────────────────────────────────


def _run(evaluation: Evaluation) -> Progress:
    def cancel(*_: Any) -> None:
        evaluation.cancel()

    before = {number: signal.signal(number, cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        evaluation.start()
        in_place = sys.stderr.isatty()
        printed = 0.0
        while not evaluation.is_over:
            if in_place or time.monotonic() - printed >= LINE_SECONDS:
                _print_progress(evaluation.progress(), sys.stderr, in_place)
                printed = time.monotonic()
            evaluation.wait(0.5)
        progress = evaluation.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    _print_progress(progress, sys.stderr, in_place)
    if in_place:
        print(file=sys.stderr)
    return progress


def _print_progress(progress: Progress, to: TextIO, in_place: bool) -> None:
    parts = [f"{lane.label}{' (judge)' if lane.is_judge else ''} {lane.done}/{lane.total}"
             + (f", {lane.failed} failed" if lane.failed else "") for lane in progress.lanes]
    line = f"{progress.done}/{progress.total} {progress.state}: " + "; ".join(parts)
    if progress.usd:
        line += f"; {_usd(progress.usd)}"
    if progress.seconds_left:
        line += f"; about {_duration(progress.seconds_left)} left"
    # In a terminal the line is drawn over itself, and the rest of the last one wiped.
    to.write(f"\r{line}\x1b[K" if in_place else f"{line}\n")
    to.flush()


def _usd(usd: float) -> str:
    return f"about ${usd:,.2f}" if usd >= 0.005 else "less than a cent"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


# ── At the end ────────────────────────────────────────────────────────────────────────


def _conclude(progress: Progress, results: Results, folder: Path, fail_under: float | None) -> int:
    for summary in results.summaries:
        quality = "" if summary.quality is None else (
            f", quality {summary.quality.value:.0%} ({summary.quality.low:.0%} to "
            f"{summary.quality.high:.0%})")
        seconds = "" if summary.total_seconds is None else (
            f", {summary.total_seconds.value:.2f} s a reply")
        usd = f", {_usd(summary.usd_in_all)}" if summary.usd_in_all else ""
        failed = f", {summary.failed} failed" if summary.failed else ""
        print(f"{summary.name}: {summary.rows} rows{failed}{quality}{seconds}{usd}")
    print(f"Results: {folder}")
    for lane in progress.lanes:
        if lane.halted:
            print(f"{lane.label}: {lane.halted}", file=sys.stderr)
    if progress.error:
        print(progress.error, file=sys.stderr)
        return 4
    if progress.state is not State.FINISHED:
        print("It is not finished: run it again with --resume.", file=sys.stderr)
        return 3
    under = [summary.name for summary in results.summaries if fail_under is not None
             and (summary.quality is None or summary.quality.value < fail_under)]
    if under:
        print(f"Under {fail_under:g}: {', '.join(under)}", file=sys.stderr)
    return 1 if under or progress.failed else 0


if __name__ == "__main__":
    sys.exit(main())
