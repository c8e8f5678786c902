"""The kitchen's task: its committed files, right answers, and no question of a training row."""

from pathlib import Path

from seas_data import recipe as recipes
from seas_data.sandbox import kitchen_task
from seas_data.sandbox.kitchen import general_questions
from tests.conftest import CHECKOUT

TASKS = CHECKOUT / "pipelines" / "smollm2-tasks"


def test_the_committed_task_is_what_the_module_writes(tmp_path: Path) -> None:
    kitchen_task.write_task(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in TASKS.iterdir()}
    settings = recipes.read(CHECKOUT / "pipelines" / "smollm2-utility.yaml")["loop"]["evaluation"]["utility"]
    assert settings == {"tasks": [kitchen_task.NAME], "folder": TASKS.name}


def test_questions_have_one_right_answer_of_four_and_are_not_trained_on() -> None:
    rows = kitchen_task.questions()
    known = {question: words for question, _, words in general_questions()}
    assert len({row["question"] for row in rows}) == len(rows) and not {row["question"] for row in rows} & known.keys()
    assert {row["answer"] for row in rows} == {0, 1, 2, 3}
    for row in rows:
        assert len(set(row["choices"])) == 4
        right = row["choices"][row["answer"]]
        words = row["question"].rstrip("?").split()
        if words[-2] == "before":
            assert known[f"Which {words[1]} comes after {right}?"] == words[-1]
        elif words[-1] == "country":
            assert known[f"What is the capital of {right}?"] == words[0]
        else:
            assert right == str(int(words[2]) + int(words[4]))
