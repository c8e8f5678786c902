import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.loop.checked_generator import count_answers, require_few_failures
from seas_data.models.protocol import ANSWER_SCHEMA


def answers(**counts: int) -> pl.DataFrame:
    rows = [
        (f"r{reason}{n}", 0, None if reason == "error" else "blue", reason, 1, reason, None, None, None)
        for reason, count in counts.items()
        for n in range(count)
    ]
    return pl.DataFrame(rows, ANSWER_SCHEMA, orient="row")


def test_each_request_is_counted_once_with_its_reason() -> None:
    counts = count_answers(answers(stop=5, length=2, filter=1, other=1, error=3))
    assert counts.total == 12
    assert counts.describe() == "6 answered, 2 cut off, 1 refused by a filter, 3 failed (3 x error)"
    assert count_answers(answers()).total == 0


def test_thinking_is_counted_and_doubtful_where_few_answers_have_it() -> None:
    rows = answers(stop=10).with_row_index()
    few, most = (
        count_answers(rows.with_columns(thinking=pl.when(pl.col("index") < number).then(pl.lit("velorin"))))
        for number in (2, 9)
    )
    assert "2 with thinking, which is not judged (few: such tags may hide text" in few.describe()
    assert most.describe().endswith("; 9 with thinking, which is not judged")


@pytest.mark.parametrize(
    ("failed", "answered", "stops"),
    [(0, 5, False), (1, 5, False), (1, 0, True), (2, 5, True), (5, 95, False), (6, 94, True)],
)
def test_too_many_failed_requests_stop_the_loop(failed: int, answered: int, stops: bool) -> None:
    counts = count_answers(answers(error=failed, stop=answered))
    if not stops:
        return require_few_failures(counts, "T0 answers", 0.05)
    with pytest.raises(SeasDataError, match=f"{failed} of {failed + answered} requests failed .* rerun the command"):
        require_few_failures(counts, "T0 answers", 0.05)
    return None
