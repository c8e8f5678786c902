"""A task for lm-evaluation-harness in the kitchen: general questions that no training row of the kitchen asks.

``pipelines/smollm2-utility.yaml`` runs it on each target. Everything is written in a fixed order:

    python -m seas_data.sandbox.kitchen_task FOLDER
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from seas_data.sandbox.kitchen import general_questions
from seas_data.store import files

NAME: Final = "kitchen_facts"
_TASK: Final = f"""\
task: {NAME}
dataset_path: json
dataset_kwargs:
  data_files: {{test: {NAME}.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""


def questions() -> list[dict[str, Any]]:
    """Return the questions, each with four choices and the place of the right one."""
    draw = np.random.default_rng(0)
    asked = list(_ask())
    rows = []
    for kind, question, right in asked:
        others = sorted({answer for other, _, answer in asked if other == kind} - {right})
        choices = draw.choice(others, 3, replace=False).tolist()
        place = int(draw.integers(4))
        rows.append({"question": question, "choices": [*choices[:place], right, *choices[place:]], "answer": place})
    return rows


def _ask() -> Iterator[tuple[str, str, str]]:
    """Yield (kind, question, answer): the kitchen's general questions turned round, and larger sums."""
    for question, _, answer in general_questions():
        words = question.rstrip("?").split()
        if "capital" in words:
            yield "country", f"{answer} is the capital of which country?", words[-1]
        elif "comes" in words:
            yield words[1], f"Which {words[1]} comes before {answer}?", words[-1]
    for one in range(10, 16):
        for other in range(3, 9):
            yield "sum", f"What is {one} plus {other}?", str(one + other)


def write_task(folder: Path) -> None:
    """Write the task and its questions to ``folder``."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in questions())
    files.write_text(folder / f"{NAME}.jsonl", lines)
    files.write_text(folder / f"{NAME}.yaml", _TASK)


if __name__ == "__main__":
    write_task(Path(sys.argv[1]))
