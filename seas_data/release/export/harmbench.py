"""HarmBench: a CSV file of behaviours, for its ``--behaviors_path``, by the documented columns."""

import csv
import io

from seas_data.release.export.rows import About, ExportRow

COLUMNS = ("Behavior", "FunctionalCategory", "SemanticCategory", "Tags", "ContextString", "BehaviorID")


def write(rows: list[ExportRow], about: About) -> str:
    """Return the text of the file. ``Tags`` has the kind, the source, its licence and the version."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        category = row.labels.get("hazard") or row.labels.get("risk_category") or "unlabelled"
        licence = row.labels.get("licence", "none stated")
        tags = (row.labels["kind"], f"source: {row.labels['source']}", f"licence: {licence}", f"version: {about.title}")
        writer.writerow((row.text, "standard", category, ", ".join(tags), "", row.prompt_id))
    return text.getvalue()
