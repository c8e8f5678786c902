"""The engine that runs work units on a Ray cluster (extra ``ray``).

A step comes here through ``Parts.map`` (``store.parts``). Each unit is a Ray task that stores its part in the
workspace, which all nodes must see under the same path, or in an object store; the driver reads the parts. Tasks rather
than actors: Ray starts a lost task again on another node by itself, and because Ray's worker processes outlive tasks,
whatever a function keeps in its process, such as a loaded model, serves the tasks after it as it would in a pool of
actors. Tasks rather than Ray Data: the units are known beforehand, their results are files, and their order is the
driver's, so nothing has to be shuffled, checkpointed or sorted again.

A worker refuses units if it does not see what the driver stores, or if other versions of this package or of a library
whose code decides bytes are installed there: the digest of a version must not depend on the node a unit happened to run
on.
"""

import importlib.util
import os
import pickle
import platform
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.progress import bar
from seas_data.store import files
from seas_data.store.code import code_digest
from seas_data.store.part_folder import PartFolder, open_folder

UNITS_PER_CPU = 2
"""Units that are submitted for each CPU: one runs, the others wait, and only their inputs are in memory."""
MAX_RETRIES = 20
"""How often a unit is started again because its node or process was lost, or the node ran out of memory."""
NODE_SECONDS = 300.0
"""How long a cluster may have no node that could run a unit: one that grows on demand starts its nodes in this time."""
_POLL_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_LOCAL_OBJECT_STORE_BYTES = 500_000_000
_LIBRARIES = (
    *("numpy", "polars", "pyarrow", "scipy", "sentence-transformers", "tokenizers", "torch", "transformers"),
    *("py3langid", "unicodedata2"),
)


class RayEngine:
    """Runs units as tasks of the cluster at ``address``, or of a Ray on this machine, which it starts and stops.

    Ray is started, or connected to, when the first unit is to be run: a build that finds all parts needs no cluster.
    ``folder`` is the workspace. All nodes must see it under the same path, unless they store results in ``store``, a
    folder or the URL of an object store.
    """

    def __init__(self, folder: Path, address: str | None = None, store: str | None = None):
        require_ray()
        self.store = store
        self._shared = open_folder(folder.resolve() / "stages" if store is None else store)
        self.address = address or os.environ.get("RAY_ADDRESS") or "local"
        self._connected = False

    def run(
        self, function: Callable[[Any], None], units: Iterable[Any], count: int, what: str, *, gpus: int = 0
    ) -> None:
        """Call ``function`` on each of the ``count`` units in a task of one CPU; return when all are finished.

        Raises SeasDataError if Ray cannot be reached, a node is not set up like this machine, or a unit is lost too
        often. Finished parts are kept.
        """
        if count == 0:
            return
        self._connect()
        import ray

        with self._marker() as marker, bar(count, what, "parts") as progress:
            # With max_calls=0 a worker process keeps its GPU, and the model on it, for the units after.
            options = {"num_cpus": 1, "num_gpus": gpus, "max_calls": 0, "max_retries": MAX_RETRIES}
            task = ray.remote(**options, scheduling_strategy="SPREAD")(run_unit)
            waiting: list[Any] = []
            try:
                environment = ray.put((describe_environment(), ray.cloudpickle.dumps((self._shared, marker))))
                for unit in units:
                    waiting.append(task.remote(ray.cloudpickle.dumps((function, unit)), environment))
                    # A cluster may grow or shrink meanwhile.
                    while len(waiting) >= UNITS_PER_CPU * self._count_cpus():
                        waiting = self._finish_one(waiting, gpus)
                        progress.update()
                while waiting:
                    waiting = self._finish_one(waiting, gpus)
                    progress.update()
            except ray.exceptions.RayError as error:
                # Units that still run end with the connection. Cancelling them can crash this process (Ray 2.60).
                raise explain(error, what) from error

    def _finish_one(self, waiting: list[Any], gpus: int) -> list[Any]:
        """Wait until a task is finished; return the others.

        Raises what the task raised, or SeasDataError if no node can run it.
        """
        import ray

        possible_at, told = time.monotonic(), False
        while True:
            finished, others = ray.wait(waiting, num_returns=1, timeout=_POLL_SECONDS)
            if finished:
                ray.get(finished)
                return list(others)
            self._require_cluster()
            if can_run(ray.nodes(), gpus):
                possible_at = time.monotonic()
                continue
            needed = "a CPU and a GPU" if gpus else "a CPU"
            if time.monotonic() - possible_at > NODE_SECONDS:
                raise SeasDataError(
                    f"the Ray cluster at {self.address} has had no node with {needed} for {NODE_SECONDS:.0f} seconds; "
                    "add one with `ray start --address`, or build with --engine local: finished parts are kept"
                )
            if not told:
                say(f"Waiting for a node with {needed}: the Ray cluster at {self.address} has none.")
                told = True

    def _count_cpus(self) -> int:
        import ray

        self._require_cluster()
        return max(1, int(ray.cluster_resources().get("CPU", 1)))

    def _require_cluster(self) -> None:
        """Raise SeasDataError if the head node is lost. Ray would end this process a minute later."""
        import ray

        try:
            _connect_to(ray.get_runtime_context().gcs_address)
        except OSError as problem:
            raise SeasDataError(
                f"the Ray cluster at {self.address} does not answer any more ({problem}); start it again and run the "
                "command again, or build with --engine local: finished parts are kept"
            ) from problem

    def close(self) -> None:
        """Disconnect from the cluster, or stop the Ray of this machine that ``run`` started."""
        if self._connected:
            import ray

            ray.shutdown()
            self._connected = False

    def _connect(self) -> None:
        if self._connected:
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a local Ray would report its use to its makers
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # the first error of a unit is raised and is enough
        # Under `uv run` the current folder, which may hold the workspace, would be sent to the cluster.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        os.environ.setdefault("RAY_task_oom_retries", str(MAX_RETRIES))  # Ray would start it again for ever
        _require_answer(self.address)
        import ray

        local = {"object_store_memory": _LOCAL_OBJECT_STORE_BYTES, "include_dashboard": False}
        try:
            ray.init(
                self.address,
                log_to_driver=False,
                logging_level="error",
                **(local if self.address == "local" else {}),
            )
        except Exception as error:  # Ray raises plain ones, too, for example if this machine is too busy to start it
            raise _unreachable(self.address, _first_line(error)) from error
        self._connected = True

    @contextmanager
    def _marker(self) -> Iterator[str]:
        """Write a file by which a worker recognises the shared folder; a killed build leaves it to the next one."""
        marker = f"{files.TEMPORARY}ray-{uuid.uuid4().hex}"
        self._shared.write(marker, b"")
        try:
            yield marker
        finally:
            self._shared.remove(marker)


def require_ray() -> None:
    """Raise SeasDataError if Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise SeasDataError(
            "Ray is not installed; install `seas-data[ray]` here and on all nodes of the cluster, or build with "
            "--engine local"
        )


def run_unit(work: bytes, environment: tuple[dict[str, str], bytes]) -> None:
    """Call a function on a unit in a worker process.

    ``work``: both, pickled. ``environment``: what ``describe_environment`` returned to the driver, and a folder and the
    name of a file that the driver wrote there, pickled. They are unpickled here, because other versions of this package
    may not be able to. Raises SeasDataError if the node is not set up like the driver's machine or does not see that
    file.
    """
    expected, seen = environment
    node = platform.node()
    for name, here in describe_environment().items():
        if here != expected.get(name):
            raise SeasDataError(
                f"the node {node} has {name} {here}, and the machine that builds has {expected.get(name)}; install the "
                "same versions on all nodes, because other versions may give another dataset"
            )
    shared, marker = pickle.loads(seen)
    if not _is_seen(shared, marker):
        raise SeasDataError(
            f"the node {node} does not see what the machine that builds wrote to {shared}; put the workspace into a "
            "folder that all nodes share under the same path, or set ray.store"
        )
    function, unit = pickle.loads(work)
    function(unit)


@cache
def _is_seen(shared: PartFolder, marker: str) -> bool:
    return marker in shared


@cache
def describe_environment() -> dict[str, str]:
    """Return what must be equal on all nodes: the version of Python, of libraries, and of this package's code."""
    return {
        "Python": platform.python_version(),
        "machine type": platform.machine(),
        **{library: _version(library) for library in _LIBRARIES},
        "seas-data code": code_digest("curate")[:12],
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "(none)"


def can_run(nodes: list[dict[str, Any]], gpus: int) -> bool:
    """Return whether one of Ray's ``nodes`` could run a unit, now or when its other work is finished."""
    return any(
        node["Alive"] and node["Resources"].get("CPU", 0) >= 1 and node["Resources"].get("GPU", 0) >= gpus
        for node in nodes
    )


def _require_answer(address: str) -> None:
    """Raise SeasDataError if ``address`` names a machine and port where nothing answers: Ray would wait for minutes."""
    try:
        _connect_to(address)
    except OSError as problem:
        raise _unreachable(address, str(problem)) from problem


def _connect_to(address: str) -> None:
    """Connect to ``address`` and end the connection, if it names a machine and a port. Raises OSError."""
    match = re.fullmatch(r"(?:\w+://)?\[?([^/\[\]]+)\]?:(\d+)", address)
    if match is None:
        return
    try:
        socket.create_connection((match[1], int(match[2])), timeout=_ANSWER_SECONDS).close()
    except (OverflowError, UnicodeError) as problem:  # no port, or no name of a machine
        raise OSError(str(problem)) from problem


def _unreachable(address: str, reason: str) -> SeasDataError:
    return SeasDataError(
        f"Ray could not be reached at {address} ({reason}); start a cluster with `ray start --head`, correct the "
        "address (ray.address in the recipe, or RAY_ADDRESS), or leave it out to start Ray on this machine"
    )


def explain(error: Exception, what: str) -> Exception:
    """Return the error to raise for one of Ray's; those of this package and of the system in one sentence."""
    from ray.exceptions import OutOfMemoryError, RayTaskError

    kept = "run the command again: finished parts are kept"
    place = re.search(r"\bip=([\w.:]+)", str(error))
    node = place[1] if place else "(unknown)"
    if not isinstance(error, RayTaskError):
        reason = "its node ran out of memory" if isinstance(error, OutOfMemoryError) else _first_line(error)
        return SeasDataError(
            f"a part of the work ({what}) could not be finished on Ray, which starts a part that is lost {MAX_RETRIES} "
            f"times again ({reason}); see Ray's logs, and {kept}"
        )
    cause = error.cause
    if isinstance(cause, SeasDataError):
        return SeasDataError(str(cause))
    if isinstance(cause, ImportError) or "failed to import on the worker" in str(cause):
        reason = str(cause).strip().splitlines()[-1][:200]
        return SeasDataError(
            f"the node {node} cannot import what a part of the work ({what}) needs ({reason}); install seas-data "
            "and its libraries in the same versions on all nodes"
        )
    if isinstance(cause, OSError | MemoryError):
        return SeasDataError(f"a part of the work ({what}) failed on the node {node} ({_first_line(cause)}); {kept}")
    mistake: Exception = error
    return mistake


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
