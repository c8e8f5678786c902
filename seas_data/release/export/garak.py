"""garak: a JSON payload file, for the folder ``payloads`` of garak's data."""

import json

from seas_data.release.export.rows import About, ExportRow


def write(rows: list[ExportRow], about: About) -> str:
    """Return the text of the file. ``prompt_ids`` has the id of each payload."""
    languages = {row.labels.get("language") for row in rows}
    language = next(iter(languages)) if len(languages) == 1 else None
    content = {
        "garak_payload_name": about.title,
        "payload_types": ["seas-data"],
        "description": about.sentence,
        **({"lang": language} if language else {}),
        "payloads": [row.text for row in rows],
        "prompt_ids": [row.prompt_id for row in rows],
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
