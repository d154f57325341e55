"""Fits the weights of evidence on labelled logs, and says what they are worth on repositories they were not fitted on.

    python benchmarks/digest/fit.py --chunks DIR --failures DIR [--leave-one-out] [--write]

It needs numpy (`pip install numpy`), which Bifrost itself does not. The labelled logs are not part of this repository:

- `--chunks`: a folder with `labels.jsonl`, an object a line: `log` is a file beside it named REPOSITORY-NUMBER.log, and
  `lines` the numbers, from 1 on, of the lines that a person marked as the failure (LogChunks, C. Brandt et al., MSR
  2020, doi 10.5281/zenodo.3632351);
- `--failures`: a folder of folders with `raw.log` and `ground_truth.json` (LogDx-CI). A line is marked that has the
  `value`, an alias or the `file` of one of the `required_signals` in it; what should be shown are the critical ones.

The model is a logistic regression over `evidence.Signs` with a quadratic penalty, solved by Newton's method (T. Hastie
et al., The Elements of Statistical Learning, 2nd ed., 4.4.1). Every log counts alike however long it is.

`--leave-one-out` adds the figures on unseen repositories, by nested cross-validation: the repositories are dealt into
six folds; for each fold the strength of the penalty and the constants of `evidence` are chosen by cross-validation
among the other five, the coefficients are fitted on these five, and only then the fold's digests are scored. What ships
is chosen and fitted in the same way on all folds, and `--write` puts it into the source of `evidence`. Which signs there
are, and the grid, were decided with all the logs in view: the left-out figures do not cover that choice.

A marked line counts as shown where a line equal to it but for digits and blanks is shown. Nothing is random: the same
logs give the same figures. It takes about six minutes of one core, two without `--leave-one-out`.
"""

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from baselines import grep, tail

from bifrost_domain.logs import evidence
from bifrost_domain.logs.digester import Digester
from bifrost_domain.logs.evidence import GAP, Reading
from bifrost_domain.logs.redaction import Redactor

Array = np.ndarray[Any, np.dtype[np.float64]]
Constants = Mapping[str, float]

FOLDS = 6
SIZES = {"chunks": (4000, 8000), "failures": (8000, 16000)}
"""Characters of the digests that are scored, by form of case."""
GRID: Mapping[str, Sequence[float]] = {
    "penalty": (0.3, 1.0),
    "_CARRIED": (0.45, 0.6),
    "_SPREAD": (0.15,),
    "REPEATED": (0.6, 0.45, 0.8),
    "FAMILIAR": (0.5, 0.7),
    "_LENGTH": (0.5, 0.35),
}
"""What is tried, one constant after the other, the others at the best so far; first what the search starts from."""
UNMARKED = 3.0
"""What all unmarked lines of a log weigh together; the marked ones weigh 1."""
SIGNALS = 2.0
"""What a log with signals counts beside one with marked lines, of which there are many more."""
MOST_UNMARKED = 400
"""Unmarked lines of one log that are fitted, evenly spaced; each stands for those it was taken from."""
SHORTEST_SIGNAL = 4
"""A signal in fewer characters, such as an exit status, stands in too many lines to mark them."""
SOURCE = Path(evidence.__file__)


@dataclass(frozen=True)
class Case:
    """One labelled log. `wanted` holds, for each thing that a digest should show, the places of the lines that show it.
    `signs` has a row for each of `places`, the lines that are not blank; `marked` 1 or 0 for each of these."""

    form: str
    repository: str
    reading: Reading
    costs: Sequence[int]
    joined: Sequence[bool]
    wanted: Sequence[frozenset[int]]
    places: Sequence[int]
    signs: Array
    marked: Array

    def share(self, taken: set[int]) -> float:
        """How much of what should be shown these lines show."""
        return fmean(not taken.isdisjoint(places) for places in self.wanted)

    def shares(self, coefficients: Array) -> list[float]:
        """The share in a digest of each size, by these coefficients and the constants in use."""
        chances = 1 / (1 + np.exp(-self.signs @ coefficients[1:] - coefficients[0]))
        own: list[float | None] = [None] * len(self.reading.texts)
        for place, chance in zip(self.places, chances.tolist(), strict=True):
            own[place] = chance
        weights = evidence.spread(self.reading, own)
        return [
            self.share(evidence.select(self.reading.keys, weights, self.costs, self.joined, room, len(GAP) + 1))
            for room in SIZES[self.form]
        ]


# --- reading the labelled logs ----------------------------------------------------------------------------------------


def read(log: Path) -> Reading:
    """What is weighed of a log: exactly what its digester passes on."""
    readings: list[Reading] = []

    def note(reading: Reading) -> list[float]:
        readings.append(reading)
        return [0.0] * len(reading.texts)

    weigh, evidence.weigh = evidence.weigh, note
    try:
        # The key only names placeholders; a fixed one keeps the fit the same from run to run.
        digester = Digester(log.name, Redactor(bytes(32)))
        digester.feed(log.read_bytes())
        digester.kept()
    finally:
        evidence.weigh = weigh
    return readings[0]


def fold(text: str) -> str:
    """`text` with its blanks and its digits alike."""
    return re.sub(r"\d", "0", " ".join(text.split()))


def case(form: str, repository: str, reading: Reading, wanted: Sequence[frozenset[int]], marked: set[int]) -> Case:
    numbers = reading.numbers
    found = [(place, signs) for place, signs in enumerate(evidence.signs(reading)) if signs is not None]
    return Case(
        form=form,
        repository=repository,
        reading=reading,
        costs=list(map(evidence.cost, numbers, reading.texts)),
        joined=[place > 0 and number == numbers[place - 1] + 1 for place, number in enumerate(numbers)],
        wanted=wanted,
        places=[place for place, _ in found],
        signs=np.array([signs for _, signs in found], dtype=np.float64),
        marked=np.array([place in marked for place, _ in found], dtype=np.float64),
    )


def chunks(folder: Path) -> Iterator[Case]:
    """The cases of a folder with `labels.jsonl`."""
    for row in map(json.loads, (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()):
        log = folder / row["log"]
        reading = read(log)
        place_of = {number: place for place, number in enumerate(reading.numbers)}
        marked = {place_of[number] for number in row["lines"] if number in place_of}
        alike: dict[str, set[int]] = {}
        for place, text in enumerate(reading.texts):
            alike.setdefault(fold(text), set()).add(place)
        wanted = [frozenset(alike[text]) for place in sorted(marked) if (text := fold(reading.texts[place]))]
        wanted += [frozenset()] * sum(number not in place_of for number in row["lines"])
        if not wanted:
            raise ValueError(f"{log.name}: only blank lines are marked")
        yield case("chunks", log.stem.rsplit("-", 1)[0], reading, wanted, marked)


def failures(folder: Path) -> Iterator[Case]:
    """The cases of a folder with `*/ground_truth.json`."""
    for truth in sorted(folder.glob("*/ground_truth.json")):
        reading = read(truth.with_name("raw.log"))
        seen = list(map(evidence.shown, reading.texts))
        wanted: list[frozenset[int]] = []
        marked: set[int] = set()
        for signal in json.loads(truth.read_text(encoding="utf-8"))["required_signals"]:
            probes = [signal.get("value"), *(signal.get("aliases") or []), signal.get("file")]
            probes = [probe.strip() for probe in probes if probe and probe.strip()]
            found = {probe: frozenset(place for place, text in enumerate(seen) if probe in text) for probe in probes}
            if signal.get("importance") == "critical":
                wanted.append(frozenset().union(*found.values()))
            marked.update(*(places for probe, places in found.items() if len(probe) >= SHORTEST_SIGNAL))
        yield case("failures", truth.parent.name, reading, wanted, marked)


# --- fitting ----------------------------------------------------------------------------------------------------------


def sample(case: Case) -> tuple[Array, Array, Array]:
    """Signs, marks and importance of the lines that are fitted: all marked ones, and a part of the others."""
    others = np.flatnonzero(case.marked == 0)
    others = others[:: max(1, -(-len(others) // MOST_UNMARKED))]
    rows = np.concatenate([np.flatnonzero(case.marked), others])
    count = len(rows) - len(others)
    importance = np.where(case.marked[rows] > 0, 1 / max(1, count), UNMARKED / max(1, len(others)))
    return case.signs[rows], case.marked[rows], importance * (SIGNALS if case.form == "failures" else 1.0)


def fit(cases: Sequence[Case], penalty: float) -> Array:
    """The bias and, after it, the coefficients in the order of `evidence.Signs`. Raises ValueError where the steps do
    not settle."""
    parts = [sample(case) for case in cases if case.marked.any() and not case.marked.all()]
    signs, marked, importance = (np.concatenate(column) for column in zip(*parts, strict=True))
    signs = np.hstack([np.ones((len(signs), 1)), signs])
    ridge = np.eye(signs.shape[1]) * penalty
    ridge[0, 0] = 1e-6
    found: Array = np.zeros(signs.shape[1])
    for _ in range(40):
        chances = 1 / (1 + np.exp(-signs @ found))
        gradient = signs.T @ (importance * (chances - marked)) + ridge @ found
        hessian = (signs * (importance * chances * (1 - chances))[:, None]).T @ signs + ridge
        step = np.linalg.solve(hessian, gradient)
        found = found - step
        if np.abs(step).max() < 1e-6:
            return found
    raise ValueError("the fit did not settle")


@contextmanager
def constants(values: Constants) -> Iterator[None]:
    """`evidence` with other constants."""
    names = [name for name in values if name != "penalty"]
    before = {name: getattr(evidence, name) for name in names}
    try:
        for name in names:
            setattr(evidence, name, values[name])
        yield
    finally:
        for name in names:
            setattr(evidence, name, before[name])


class Trial:
    """Fits and scores of the cases in folds, each made once. `folds[i]` has the cases of fold `i`."""

    def __init__(self, folds: Sequence[Sequence[Case]]) -> None:
        self.folds = folds
        self._fits: dict[tuple[frozenset[int], float], Array] = {}
        self._shares: dict[tuple[Any, ...], list[list[float]]] = {}

    def without(self, left_out: frozenset[int], penalty: float) -> Array:
        """The coefficients fitted on all folds but these."""
        key = left_out, penalty
        if key not in self._fits:
            cases = [case for index, fold in enumerate(self.folds) if index not in left_out for case in fold]
            self._fits[key] = fit(cases, penalty)
        return self._fits[key]

    def shares(self, fold: int, left_out: frozenset[int], values: Constants) -> list[list[float]]:
        """The shares of each case of a fold, by the fit without some folds."""
        key = fold, left_out, *values.values()
        if key not in self._shares:
            coefficients = self.without(left_out, values["penalty"])
            with constants(values):
                self._shares[key] = [case.shares(coefficients) for case in self.folds[fold]]
        return self._shares[key]

    def choose(self, left_out: frozenset[int]) -> dict[str, float]:
        """The best constants by cross-validation among the folds that are not left out."""

        def score(values: Constants) -> float:
            found = [
                shares
                for index in range(len(self.folds))
                if index not in left_out
                for shares in self.shares(index, left_out | {index}, values)
            ]
            return fmean(share + (share >= 0.5) for shares in found for share in shares)

        best = {name: options[0] for name, options in GRID.items()}
        highest = score(best)
        for name, options in GRID.items():
            for option in options[1:]:
                candidate = {**best, name: option}
                if (value := score(candidate)) > highest:
                    best, highest = candidate, value
        return best


def deal(cases: Sequence[Case]) -> list[list[Case]]:
    """The cases in folds, all of one repository in one."""
    fold_of = {name: index % FOLDS for index, name in enumerate(sorted({case.repository for case in cases}))}
    return [[case for case in cases if fold_of[case.repository] == index] for index in range(FOLDS)]


# --- reporting --------------------------------------------------------------------------------------------------------


def table(cases: Sequence[Case], columns: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """A row for each form and size: the mean share and, of `chunks`, the part of the logs with at least half."""
    rows = ["| measure | logs | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
    measures: list[tuple[str, Callable[[float], float]]] = [("mean share", float), ("half or more", lambda x: x >= 0.5)]
    for form, sizes in SIZES.items():
        for index, size in enumerate(sizes):
            for title, measure in measures[: 2 if form == "chunks" else 1]:
                cells = [
                    [measure(row[index]) for case, row in zip(cases, column, strict=True) if case.form == form]
                    for column in columns.values()
                ]
                if cells[0]:
                    means = " | ".join(f"{fmean(cell):.3f}" for cell in cells)
                    rows.append(f"| {form}, {title} at {size:,} | {len(cells[0])} | {means} |")
    return "\n".join(rows)


def baseline(cases: Sequence[Case], method: Callable[[Case, int], set[int]]) -> list[list[float]]:
    return [[case.share(method(case, room)) for room in SIZES[case.form]] for case in cases]


def source(text: str, coefficients: Array, values: Constants) -> str:
    """The source of `evidence` with these numbers in place of its own."""
    bias, *others = (round(float(value), 2) + 0.0 for value in coefficients)
    rows = "".join(f"    {name}={value},\n" for name, value in zip(evidence.Signs._fields, others, strict=True))
    numbers = {
        r"(?m)^_BIAS = .*$": f"_BIAS = {bias}",
        r"(?m)^_COEFFICIENTS = Signs\(\n(?:    .*\n)*\)": f"_COEFFICIENTS = Signs(\n{rows})",
        r"(?m)^_CARRIED, _SPREAD = .*$": f"_CARRIED, _SPREAD = {values['_CARRIED']}, {values['_SPREAD']}",
        **{rf"(?m)^{name} = .*$": f"{name} = {values[name]}" for name in ("REPEATED", "FAMILIAR", "_LENGTH")},
    }
    for pattern, number in numbers.items():
        text, count = re.subn(pattern, number, text)
        if count != 1:
            raise ValueError(f"{SOURCE.name}: {pattern} is there {count} times")
    return text


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--chunks", type=Path, metavar="DIR")
    ask.add_argument("--failures", type=Path, metavar="DIR")
    ask.add_argument("--leave-one-out", action="store_true", help="score each fold of repositories by a fit without it")
    ask.add_argument("--write", action="store_true", help="put the result into the source of evidence")
    given = ask.parse_args()
    cases = [
        *(chunks(given.chunks) if given.chunks else ()),
        *(failures(given.failures) if given.failures else ()),
    ]
    if len({case.repository for case in cases}) < FOLDS:
        ask.error(f"the logs of at least {FOLDS} repositories are needed")
    folds = deal(cases)
    cases = [case for fold in folds for case in fold]
    trial = Trial(folds)
    values = trial.choose(frozenset())
    coefficients = trial.without(frozenset(), values["penalty"])
    with constants(values):
        columns = {"in-sample": [case.shares(coefficients) for case in cases]}
    if given.leave_one_out:
        left_out: list[list[float]] = []
        for index in range(FOLDS):
            chosen = trial.choose(frozenset([index]))
            print(f"without fold {index}: {chosen}", flush=True)
            left_out += trial.shares(index, frozenset([index]), chosen)
        columns["left-out"] = left_out
    columns["tail"] = baseline(cases, lambda case, room: tail(case.reading.texts, case.costs, room))
    columns["first of grep"] = baseline(cases, lambda case, room: grep(case.reading.texts, case.costs, room))
    columns["last of grep"] = baseline(cases, lambda case, room: grep(case.reading.texts, case.costs, room, last=True))
    print(f"on all: {values}\n\n{table(cases, columns)}\n")
    for name, value in zip(("bias", *evidence.Signs._fields), coefficients, strict=True):
        print(f"{name:24} {value:6.2f}")
    print(f"{time.process_time():.0f} s of CPU")
    if given.write:
        SOURCE.write_text(source(SOURCE.read_text(encoding="utf-8"), coefficients, values), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
