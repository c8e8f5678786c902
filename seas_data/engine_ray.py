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
import platform
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from seas_data.errors import SeasDataError
from seas_data.progress import bar
from seas_data.store import files
from seas_data.store.code import code_digest
from seas_data.store.part_folder import PartFolder, open_folder

UNITS_PER_CPU = 2
"""Units that are submitted for each CPU: one runs, the others wait, and only their inputs are in memory."""
MAX_RETRIES = 20
"""How often a unit is started again because its node or process was lost."""
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
        if importlib.util.find_spec("ray") is None:
            raise SeasDataError(
                "Ray is not installed; install `seas-data[ray]` here and on all nodes of the cluster, or build with "
                "--engine local"
            )
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
            environment = ray.put((self._shared, marker, describe_environment()))
            waiting: list[Any] = []
            try:
                for unit in units:
                    waiting.append(task.remote(function, unit, environment))
                    # A cluster may grow or shrink meanwhile.
                    while len(waiting) >= UNITS_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1))):
                        waiting = _finish_one(waiting)
                        progress.update()
                while waiting:
                    waiting = _finish_one(waiting)
                    progress.update()
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, SeasDataError):
                    raise SeasDataError(str(error.cause)) from None
                raise
            except ray.exceptions.RayError as error:
                raise SeasDataError(
                    f"a part of the work ({what}) was lost on Ray {MAX_RETRIES + 1} times ({_first_line(error)}); see "
                    "Ray's logs, and run the command again: finished parts are kept"
                ) from error
            finally:
                for each in waiting:
                    ray.cancel(each, force=True)

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
            raise SeasDataError(
                f"Ray could not be reached at {self.address} ({_first_line(error)}); start a cluster with `ray start "
                "--head`, correct the address (ray.address in the recipe, or RAY_ADDRESS), or leave it out to start "
                "Ray on this machine"
            ) from error
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


def run_unit(function: Callable[[Any], None], unit: Any, environment: tuple[PartFolder, str, dict[str, str]]) -> None:
    """Call ``function`` on ``unit`` in a worker process.

    ``environment``: a folder, a file that the driver wrote there, and what ``describe_environment`` returned to it.
    Raises SeasDataError if the node does not see that file or is not set up like the driver's machine.
    """
    shared, marker, expected = environment
    node = platform.node()
    if not _is_seen(shared, marker):
        raise SeasDataError(
            f"the node {node} does not see what the machine that builds wrote to {shared}; put the workspace into a "
            "folder that all nodes share under the same path, or set ray.store"
        )
    for name, here in describe_environment().items():
        if here != expected[name]:
            raise SeasDataError(
                f"the node {node} has {name} {here}, and the machine that builds has {expected[name]}; install the "
                "same versions on all nodes, because other versions may give another dataset"
            )
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


def _finish_one(waiting: list[Any]) -> list[Any]:
    """Wait until a task is finished; return the others. Raises what the task raised."""
    import ray

    finished, others = ray.wait(waiting, num_returns=1)
    ray.get(finished)
    return list(others)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
