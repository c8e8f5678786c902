"""Fuzz everything that reads what comes from outside; see docs/robustness.md.

python -m tests.fuzz --inputs 1000000 --seed 1      # a run, divided among the targets by their weights
python -m tests.fuzz --inputs 1000000 --part 2/10   # the second tenth of that run
python -m tests.fuzz --each 20000                   # so many inputs per target
python -m tests.fuzz --target recipe --show 1234    # one input of a run again, with the traceback
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.engine import make_input, print_table, run_targets
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Run the command line; return 1 if an input failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(";")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs of all targets together")
    parser.add_argument("--each", type=int, help="inputs of each target, in place of --inputs")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="the K-th of N parts of the inputs, such as 2/10")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="may be repeated; all by default")
    parser.add_argument("--show", type=int, metavar="NUMBER", help="run one input of one --target in this process")
    given = parser.parse_args()
    targets = [TARGETS[name] for name in given.target or TARGETS]
    if given.show is not None:
        target = targets[0]
        data = make_input(target, given.seed, given.show)
        print(repr(data)[:20_000])
        with tempfile.TemporaryDirectory() as folder:
            print(target.check(data, Path(folder)))
        return 0
    weights = sum(target.weight for target in targets)
    counts = {each.name: given.each or -(-given.inputs * each.weight // weights) for each in targets}
    part, parts = (int(each) for each in given.part.split("/"))
    numbers = {name: range((part - 1) * count // parts, part * count // parts) for name, count in counts.items()}
    started = time.monotonic()
    results = run_targets(numbers, given.seed, given.processes)
    print_table(results)
    print(f"\nseed {given.seed}, part {given.part}, {given.processes} processes, {time.monotonic() - started:.0f} s")
    return int(any(result.failed for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
