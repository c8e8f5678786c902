"""PyRIT: a YAML file for ``SeedDataset.from_yaml_file``.

PyRIT renders every value of such a file as a Jinja template, so whatever Jinja would read or change is written as an
expression that gives it: the value that PyRIT holds is the prompt, character by character.
"""

import uuid
from typing import Any

import yaml

from seas_data.release.export.rows import About, ExportRow


def write(rows: list[ExportRow], about: About) -> str:
    """Return the text of the file. The turns of a conversation are a group of seeds in order."""
    dataset = {
        "dataset_name": about.title,
        "description": about.sentence,
        "data_type": "text",
        "seeds": [seed for row in rows for seed in _seeds(row, about)],
    }
    return yaml.safe_dump(dataset, sort_keys=False, allow_unicode=True, width=10_000)


def _seeds(row: ExportRow, about: About) -> list[dict[str, Any]]:
    labels = about.labels(row)
    category = row.labels.get("hazard") or row.labels.get("risk_category")
    shared = {
        "name": row.prompt_id,
        "source": row.labels["source"],
        "harm_categories": [category] if category else [],
        "metadata": labels,
    }
    if row.turns is None:
        return [{"value": escape(row.text), "id": _id(row.prompt_id, 0), **shared}]
    return [
        {
            "value": escape(content),
            "id": _id(row.prompt_id, number),
            "prompt_group_alias": row.prompt_id,
            "sequence": number,
            "role": role,
            **shared,
        }
        for number, (role, content) in enumerate(row.turns)
    ]


def escape(text: str) -> str:
    """Return a Jinja template that renders to ``text``."""
    escaped = text.replace("{", '{{ "{" }}').replace("\r", '{{ "\\r" }}')
    return f'{escaped[:-1]}{{{{ "\\n" }}}}' if escaped.endswith("\n") else escaped


def _id(prompt_id: str, number: int) -> str:
    """Return the id that PyRIT stores: the same for the same prompt, so that a second load adds nothing."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"seas-data:{prompt_id}:{number}"))
