"""Autobahn's reports as a table: `report.py reports/axum reports/poem ...`. Fails where a case failed."""
from __future__ import print_function

import json
import os
import sys

PASSED = ["OK", "NON-STRICT", "INFORMATIONAL"]
COLUMNS = PASSED + ["FAILED", "UNIMPLEMENTED"]


def by_number(case):
    return tuple(int(part) for part in case.split("."))


def judgements(folder):
    """Of each case: its number, and what Autobahn says of the messages and of the close."""
    with open(os.path.join(folder, "index.json")) as report:
        (agent, cases), = json.load(report).items()
    for case in sorted(cases, key=by_number):
        yield case, cases[case]["behavior"], cases[case]["behaviorClose"]


def print_table(tables):
    line = "{:<10}{:>6}" + "{:>15}" * len(COLUMNS)
    print(line.format("adapter", "cases", *COLUMNS))
    for adapter, cases in tables:
        said = [behavior for _, behavior, _ in cases]
        print(line.format(adapter, len(cases), *[said.count(column) for column in COLUMNS]))


def print_exceptions(tables):
    """What is not OK, and of which adapters."""
    adapters = {}
    for adapter, cases in tables:
        for case, behavior, close in cases:
            if (behavior, close) != ("OK", "OK"):
                adapters.setdefault((by_number(case), case, behavior, close), []).append(adapter)
    for (_, case, behavior, close), those in sorted(adapters.items()):
        print("{:<8}{}, its close {}: {}".format(case, behavior, close, ", ".join(those)))


def main(folders):
    tables = [(os.path.basename(folder), list(judgements(folder))) for folder in folders]
    print_table(tables)
    print_exceptions(tables)
    said = [(behavior, close) for _, cases in tables for _, behavior, close in cases]
    ran = all(cases for _, cases in tables)
    return 0 if ran and all(behavior in PASSED and close in PASSED for behavior, close in said) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
