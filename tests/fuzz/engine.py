"""Run targets over mutated inputs in worker processes, and count what became of them.

An input is determined by the run's seed, the target's name and its number. A worker that dies, such as by an abort in a
library, costs the input that it was at; another worker continues after it.
"""

import contextlib
import io
import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from seas_data.errors import SeasDataError

MAX_SECONDS = 2.0
"""Processor time of one input."""
_HANG_SECONDS = 20.0
_MAX_MEMORY = 24 << 30  # address space, which libraries reserve far more of than they use
_BATCH = 250
MAX_REPORTED = 20
"""Failures of a target that are kept with their input."""


@dataclass(frozen=True)
class Target:
    """Something that reads what comes from outside.

    ``make``: draws an input. ``check``: gives the input to the reader, with a folder to write to. It returns the number
    of records that were accounted for, raises SeasDataError if the input was refused, and AssertionError if a record
    was lost or a rule was broken. ``weight``: the target's part of the inputs of a run.
    """

    name: str
    make: Callable[[Random], Any]
    check: Callable[[Any, Path], int]
    weight: int = 1


@dataclass
class Result:
    """Counts of the inputs of one target, and its failures as (number, what happened)."""

    inputs: int = 0
    refused: int = 0
    records: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    failures: list[tuple[int, str]] = field(default_factory=list)
    failed: int = 0

    def add(self, other: "Result") -> None:
        self.inputs += other.inputs
        self.refused += other.refused
        self.records += other.records
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        self.failures = [*self.failures, *other.failures][:MAX_REPORTED]
        self.failed += other.failed


class HangError(BaseException):
    """An input that is still being read after ``_HANG_SECONDS`` of processor time."""


def make_input(target: Target, seed: int, number: int) -> Any:
    """Return input ``number`` of ``target``."""
    return target.make(Random(f"{seed}/{target.name}/{number}"))


def run_inputs(target: Target, seed: int, numbers: range, folder: Path, at: Any = None) -> Result:
    """Give the inputs ``numbers`` to ``target`` in this process. ``at``: shared memory for the current number."""
    result = Result()
    for number in numbers:
        if at is not None:
            at.value = number
        given = make_input(target, seed, number)
        result.inputs += 1
        started = time.process_time()
        problem = ""
        if at is not None:
            signal.setitimer(signal.ITIMER_PROF, _HANG_SECONDS)
        try:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                result.records += target.check(given, folder)
        except SeasDataError as refusal:
            result.refused += 1
            problem = _fault_of_message(str(refusal))
        except BaseException as error:  # also panics of libraries, which are no Exceptions
            if isinstance(error, KeyboardInterrupt):
                raise
            last = traceback.extract_tb(error.__traceback__)[-1]
            problem = f"{type(error).__name__}: {str(error)[:200]} ({Path(last.filename).name}:{last.lineno})"
        seconds = time.process_time() - started
        result.seconds += seconds
        result.slowest = max(result.slowest, seconds)
        if not problem and seconds > MAX_SECONDS:
            problem = f"took {seconds:.1f} s of processor time"
        if problem:
            result.failed += 1
            result.failures = [*result.failures, (number, problem)][:MAX_REPORTED]
    return result


def _fault_of_message(message: str) -> str:
    """Return what is wrong with the message of a refusal: it is one line of bounded length."""
    if "\n" in message:
        return f"a message of several lines: {message[:200]!r}"
    return f"a message of {len(message)} characters: {message[:80]!r}" if len(message) > 12_000 else ""


def run_targets(numbers: dict[str, range], seed: int, processes: int) -> dict[str, Result]:
    """Give the inputs ``numbers[name]`` to each target ``name``, in ``processes`` worker processes."""
    results = {name: Result() for name in numbers}
    batches = iter(
        (name, range(start, min(start + _BATCH, each.stop)))
        for name, each in numbers.items()
        for start in range(each.start, each.stop, _BATCH)
    )
    waiting: list[tuple[str, range]] = []
    idle = [_Worker(seed) for _ in range(processes)]
    busy: dict[Connection, _Worker] = {}
    while True:
        while idle and (job := waiting.pop() if waiting else next(batches, None)):
            worker = idle.pop()
            worker.start(*job)
            busy[worker.connection] = worker
        if not busy:
            break
        for connection in multiprocessing.connection.wait(list(busy)):
            worker = busy.pop(connection)  # type: ignore[arg-type]
            result, rest = worker.finish()
            results[worker.name].add(result)
            waiting += [(worker.name, rest)] if rest else []
            idle.append(worker)
    for worker in idle:
        worker.stop()
    return results


class _Worker:
    """A process that runs batches of inputs, replaced when it dies."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.name, self.batch = "", range(0)
        self._open()

    def _open(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of Polars' threads
        self.at = context.Value("q", 0)
        self.connection, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(self.seed, there, self.at), daemon=True)
        self.process.start()
        there.close()

    def start(self, name: str, batch: range) -> None:
        self.name, self.batch = name, batch
        self.at.value = batch.start
        self.connection.send((name, batch))

    def finish(self) -> tuple[Result, range]:
        """Return the result of the batch, and the rest of it if the process died."""
        try:
            result: Result = self.connection.recv()
            return result, range(0)
        except (EOFError, ConnectionError):
            self.process.join()
            number = self.at.value
            problem = f"the process ended with status {self.process.exitcode}"
            self._open()
            done = Result(inputs=number + 1 - self.batch.start, failures=[(number, problem)], failed=1)
            return done, range(number + 1, self.batch.stop)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.send(None)
        self.process.join()


def _stop_hang(*_: object) -> None:
    raise HangError


def _serve(seed: int, connection: Connection, at: Any) -> None:
    from tests.fuzz.targets import TARGETS

    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    signal.signal(signal.SIGPROF, _stop_hang)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries print the backtraces of their panics there
    with tempfile.TemporaryDirectory() as name:
        while (job := connection.recv()) is not None:
            connection.send(run_inputs(TARGETS[job[0]], seed, job[1], Path(name), at))


def print_table(results: dict[str, Result]) -> None:
    """Print the counts of each target and their sum to standard output."""
    total = Result()
    print(f"{'target':<24}{'inputs':>10}{'refused':>10}{'records':>11}{'seconds':>9}{'slowest':>9}{'failures':>10}")
    for name, result in results.items():
        total.add(result)
        _print_row(name, result)
    _print_row("all", total)
    for name, result in results.items():
        for number, problem in result.failures:
            print(f"{name} {number}: {problem}", file=sys.stderr)


def _print_row(name: str, result: Result) -> None:
    print(
        f"{name:<24}{result.inputs:>10,}{result.refused:>10,}{result.records:>11,}{result.seconds:>9.0f}"
        f"{result.slowest:>9.2f}{result.failed:>10,}"
    )
