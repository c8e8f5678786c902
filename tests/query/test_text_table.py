"""Column widths of tables on the terminal."""

from hypothesis import given
from hypothesis import strategies as st

from seas_data.query import text_table
from tests.conftest import examples


@examples(100)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=30), st.integers(12, 250))
def test_fitted_columns_fill_the_room_they_have_and_no_more(widths: list[int], room: int) -> None:
    fitted = text_table.fit_widths(widths, room)
    assert sum(fitted) + 2 * (len(fitted) - 1) <= room
    assert all(given_width >= width for given_width, width in zip(widths, fitted, strict=False))
    assert all(width >= min(given_width, 12) for given_width, width in zip(widths, fitted, strict=False))
    if sum(widths) + 2 * (len(widths) - 1) <= room:
        assert fitted == widths
    elif any(given_width > width for given_width, width in zip(widths, fitted, strict=False)):
        assert sum(fitted) + 2 * (len(fitted) - 1) > room - len(fitted)
