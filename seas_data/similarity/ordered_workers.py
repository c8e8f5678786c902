"""Run torch jobs on worker threads of one intra-op thread each and yield their results in order.

Several intra-op threads share each operation, so all of them wait for the slowest, hundreds of times per batch: a
single core that another process uses slows down everything. Jobs on threads of their own do not wait for each other,
and their results do not depend on the number of threads. On a GPU each worker has a stream of its own, so copies and
kernels of several jobs overlap.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")

CPU = torch.device("cpu")
GPU_WORKERS = 3
_QUEUED_PER_WORKER = 2


def count_workers(device: torch.device) -> int:
    """Return the number of worker threads for ``device``: torch's intra-op threads, or a few streams of a GPU.

    Torch counts the cores that this process may use, unless ``OMP_NUM_THREADS`` or ``torch.set_num_threads`` limits it.
    """
    return GPU_WORKERS if device.type == "cuda" else torch.get_num_threads()


def run_in_order(jobs: Iterable[Callable[[], Result]], workers: int, device: torch.device = CPU) -> Iterator[Result]:
    """Yield the results of ``jobs`` in their order, computed by ``workers`` threads.

    At most two jobs per worker wait or run at any time. The first error of a job is raised as soon as the next result
    is requested; jobs that have not started are cancelled then, or if the caller stops.
    """
    # The number is a thread's own, and the default of threads that have not called torch yet: only that is restored.
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, "torch", initializer=_start_worker, initargs=(device,))
    pending: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            pending.append(pool.submit(job))
            if len(pending) >= _QUEUED_PER_WORKER * workers:
                yield _next_result(pending)
        while pending:
            yield _next_result(pending)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _start_worker(device: torch.device) -> None:
    torch.set_num_threads(1)
    if device.type == "cuda":
        torch.cuda.set_stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]


def _next_result(pending: deque[Future[Result]]) -> Result:
    for future in pending:
        if future.done() and (error := future.exception()) is not None:
            raise error
    return pending.popleft().result()
