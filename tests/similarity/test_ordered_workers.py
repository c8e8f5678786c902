"""Jobs on worker threads: results in order, one intra-op thread each, a bounded number in flight, prompt errors."""

import threading
import time
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seas_data.similarity.ordered_workers import count_workers, run_in_order
from tests.conftest import examples


def wait_and_return(seconds: float, value: int) -> int:
    time.sleep(seconds)
    return value


@examples(10)
@given(st.lists(st.sampled_from([0.0, 0.001, 0.004]), max_size=20), st.integers(1, 4))
def test_results_come_in_the_order_of_the_jobs_whatever_time_they_take(seconds, workers):
    jobs = [partial(wait_and_return, each, number) for number, each in enumerate(seconds)]
    assert list(run_in_order(jobs, workers)) == list(range(len(seconds)))


def test_each_worker_has_one_thread_and_the_caller_keeps_its_own():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert count_workers(torch.device("cpu")) == 2
        assert set(run_in_order([torch.get_num_threads] * 8, 2)) == {1}
        assert torch.get_num_threads() == 2
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert later == [2], "the default of new threads is restored"
    finally:
        torch.set_num_threads(before)


def test_few_jobs_are_in_flight():
    started = []
    results = run_in_order((partial(started.append, number) for number in range(1_000)), 2)
    next(results)
    assert len(started) <= 4
    results.close()
    assert len(started) <= 4, "what was not requested is cancelled"


def test_an_error_is_raised_at_once_and_the_rest_cancelled():
    started: list[int] = []
    stop = threading.Event()

    def job(number: int) -> None:
        started.append(number)
        if number == 2:
            raise ValueError("the third batch")
        if number > 2:
            stop.wait(0.01)

    with pytest.raises(ValueError, match="the third batch"):
        list(run_in_order((partial(job, number) for number in range(1_000)), 2))
    assert len(started) <= 6
    assert not any(thread.name.startswith("torch") for thread in threading.enumerate())
