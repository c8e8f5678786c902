"""inspect_ai: a JSON Lines file for ``json_dataset``. Its name must end with ``.jsonl``."""

import json

from seas_data.release.export.rows import About, ExportRow


def write(rows: list[ExportRow], about: About) -> str:
    """Return the text of the file: a sample for each prompt, with its turns if it is a conversation."""
    return "".join(f"{json.dumps(_sample(row, about), ensure_ascii=False)}\n" for row in rows)


def _sample(row: ExportRow, about: About) -> dict[str, object]:
    turns = row.turns and [{"role": role, "content": content} for role, content in row.turns]
    return {
        "id": row.prompt_id,
        "input": turns or row.text,
        "target": "",
        "metadata": about.labels(row) | {"about": about.sentence},
    }
