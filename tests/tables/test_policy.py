"""The policy of each column: what is declared, what a column without a declaration is, and that the docs list it."""

import dataframely as dy
import polars as pl
import pytest

from seas_data.tables import TABLES, policy


@pytest.mark.parametrize("table", TABLES)
def test_every_column_declares_a_visibility_and_a_description(table: str) -> None:
    for name, column in TABLES[table].columns().items():
        assert isinstance((column.metadata or {}).get("policy"), policy.Policy), name
        assert (column.description or "").endswith("."), name
        assert len((column.description or "").split()) > 1, name


@pytest.mark.parametrize("table", TABLES)
def test_every_table_says_what_identifies_a_row(table: str) -> None:
    assert policy.row_id(TABLES[table])


@pytest.mark.parametrize("table", TABLES)
def test_every_reference_names_a_column_and_every_condition_can_be_read(table: str) -> None:
    schema = TABLES[table]
    for each in policy.of_schema(schema).values():
        for reference in each.references:
            assert set(pl.sql_expr(reference.where).meta.root_names()) <= set(schema.column_names())
            for target in reference.columns:
                other, column = target.split(".")
                assert column in TABLES[other].column_names()
    assert policy.condition_columns(schema) <= set(schema.column_names())


@pytest.mark.parametrize("table", TABLES)
def test_a_column_that_a_profile_withholds_can_be_null(table: str) -> None:
    """In a table whose rows the public profile keeps."""
    columns = TABLES[table].columns()
    policies = policy.of_schema(TABLES[table])
    if all(policies[name].visibility == "public" for name in policy.row_id(TABLES[table])):
        for name, each in policies.items():
            assert columns[name].nullable or (each.visibility == "public" and each.where is None), name


class Notes(dy.Schema):
    note_id = dy.String(primary_key=True)
    note = dy.String(nullable=True)
    parts = dy.List(dy.Struct({"content": dy.String()}), nullable=True)
    count = dy.Int32(nullable=True)
    shown = dy.String(nullable=True, description="A note.", metadata=policy.declare("public"))
    hidden = dy.String(nullable=True, metadata=policy.declare("never", free_text=False))


def test_a_column_that_declares_nothing_is_gated_free_text() -> None:
    found = policy.of_schema(Notes)
    assert found["note"] == policy.Policy(visibility="gated", free_text=True)
    assert policy.free_text(Notes) == ["note_id", "note", "parts", "shown"]
    assert found["count"] == policy.Policy(visibility="gated", free_text=False)
    assert (found["shown"].visibility, found["shown"].description) == ("public", "A note.")
    assert (found["hidden"].visibility, found["hidden"].free_text) == ("never", False)


def test_a_condition_that_is_null_is_false() -> None:
    rows = pl.DataFrame({"role": ["red", "target", None]})
    assert rows.filter(policy.condition("role <> 'red'"))["role"].to_list() == ["target"]
    assert rows.filter(~policy.condition("role <> 'red'"))["role"].to_list() == ["red", None]
