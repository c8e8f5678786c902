"""Cells for people, and the columns that are masked."""

from seas_data.query.cells import TEXT_COLUMNS, format_cell
from seas_data.tables import TABLES, policy


def test_texts_of_prompts_and_responses_are_masked_and_labels_are_not() -> None:
    texts = {
        "text",
        "goal",
        "payload",
        "segments",
        "prompt",
        "chosen",
        "rejected",
        "completion",
        "response",
        "thinking",
        "raw",
        "messages",
        "content",
        "sampling",
    }
    assert set(TEXT_COLUMNS) == texts
    assert format_cell("text", "one two three four five", False) == "one two three four… (23 characters)"
    assert format_cell("text", "one two three four five", True) == "one two three four five"
    assert format_cell("label", "one two three four five", False) == "one two three four five"


def test_masked_columns_are_free_text_of_a_schema_or_of_a_query() -> None:
    free_text = {name for schema in TABLES.values() for name in policy.free_text(schema)}
    assert set(TEXT_COLUMNS) <= free_text | {"response", "content"}
