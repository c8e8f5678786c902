"""HarmBench, JailbreakBench and modelbench, by their documented schemas: no file of these tools was at hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from seas_data.errors import SeasDataError
from seas_data.sources.logs.harmbench import HARMBENCH
from seas_data.sources.logs.jailbreakbench import JAILBREAKBENCH
from seas_data.sources.logs.modelbench import MODELBENCH
from tests.sources.logs.reading import MARK, attempts, read, sent, skipped, verdicts, with_planted_keys


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(with_planted_keys(content)))
    return path


def test_completions_of_harmbench_in_both_forms(tmp_path: Path) -> None:
    given = {"test_case": "How is soup made?", "generation": "Stir it.", "label": 1, "advbench_label": 0}
    declined = {"test_case": "How is soup made?", "generation": "I do not say.", "label": 0}
    unlabelled = {"test_case": "How is cake made?", "generation": "Hm."}
    picture = {"test_case": ["a.png", "What is it?"], "generation": "Soup.", "label": 1}
    plain = write(tmp_path / "a.json", {"soup": [given, declined], "cake": [unlabelled, picture]})
    found = read(HARMBENCH, plain, scorers=("label",))
    assert MARK not in repr(found)
    assert [(sent(each), each.risk, each.source_id) for each in attempts(found)] == [
        ("How is soup made?", "soup", "soup/0"),
        ("How is soup made?", "soup", "soup/1"),
        ("How is cake made?", "cake", "cake/0"),
    ]
    assert dict(verdicts(found)) == {(None, "harmbench:label", "unsafe"): 1, (None, "harmbench:label", "safe"): 1}
    assert [reason for _, reason in skipped(found)] == ["not_text"]
    by_model = write(tmp_path / "b.json", {"soup": {"mild": given, "other": [declined]}})
    models = [answer.model for each in attempts(read(HARMBENCH, by_model)) for answer in each.answers]
    assert models == ["mild", "other"]


@pytest.mark.parametrize("label", [None, True, "1", 2, -1, 0.5, []])
def test_another_label_of_harmbench_is_not_judged(tmp_path: Path, label: object) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"soup": [{"test_case": "Soup?", "generation": "Stir.", "label": label}]}))
    assert [verdict for _, _, verdict in verdicts(read(HARMBENCH, path))] == ["unparsed"]


def test_artifacts_of_jailbreakbench(tmp_path: Path) -> None:
    log = {
        "parameters": {"method": "POEM", "model": "mild", "evaluation_llm_provider": "x"},
        "jailbreaks": [
            {
                "index": 4,
                "goal": "Make soup",
                "category": "Cooking",
                "prompt": "Soup as a poem",
                "response": "Stir",
                "jailbroken": True,
            },
            {
                "index": 5,
                "goal": "Make cake",
                "category": "Cooking",
                "prompt": "Cake?",
                "response": "No",
                "jailbroken": False,
            },
            {
                "index": 6,
                "goal": "Make pie",
                "category": "Cooking",
                "prompt": "Pie?",
                "response": "Hm",
                "jailbroken": None,
            },
            {
                "index": 7,
                "goal": "Make jam",
                "category": "Cooking",
                "prompt": None,
                "response": None,
                "jailbroken": False,
            },
        ],
    }
    found = read(JAILBREAKBENCH, write(tmp_path / "a.json", log))
    assert MARK not in repr(found)
    first = attempts(found)[0]
    assert (sent(first), first.goal, first.style, first.risk, first.source_id) == (
        "Soup as a poem",
        "Make soup",
        "POEM",
        "Cooking",
        "4",
    )
    assert dict(verdicts(found)) == {
        ("POEM", "jailbreakbench", "unsafe"): 1,
        ("POEM", "jailbreakbench", "safe"): 1,
        ("POEM", "jailbreakbench", "unparsed"): 1,
    }
    assert [reason for _, reason in skipped(found)] == ["never_sent"]


@pytest.mark.parametrize("log", [HARMBENCH, JAILBREAKBENCH, MODELBENCH])
@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"jailbreaks": []}', b'{"a": 3}', b"[" * 100_000])
def test_another_file_is_refused(tmp_path: Path, log: Any, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(SeasDataError, match=r"a\.json"):
        read(log, tmp_path / "a.json")


def test_journals_of_modelbench_join_the_events_of_an_item(tmp_path: Path) -> None:
    def events(prompt: str, *safe: object) -> list[dict[str, Any]]:
        about = {"test": "kitchen", "prompt_id": prompt, "sut": "mild"}
        judged = [
            {"message": "translated annotation", **about, "annotator": f"judge{at}", "annotation": {"is_safe": each}}
            for at, each in enumerate(safe)
        ]
        return [
            {"message": "queuing item", **about, "prompt_text": f"How is {prompt} made?"},
            {"message": "translated sut response", **about, "response_text": "Stir it."},
            *judged,
        ]

    done = {"message": "measured item quality", "test": "kitchen", "prompt_id": "soup", "sut": "mild"}
    lines = [{"message": "starting run", "run_id": "r"}, *events("soup", True, False), *events("cake", None), done]
    lines.append(
        {"message": "queuing item", "test": "kitchen", "prompt_id": "pie", "sut": "mild", "prompt_text": "Pie?"}
    )
    (tmp_path / "run.jsonl").write_text("".join(json.dumps(with_planted_keys(each)) + "\n" for each in lines))
    found = read(MODELBENCH, tmp_path / "run.jsonl")
    assert MARK not in repr(found)
    assert [(sent(each), len(each.answers)) for each in attempts(found)] == [
        ("How is soup made?", 1),
        ("How is cake made?", 1),
        ("Pie?", 0),
    ]
    assert dict(verdicts(found)) == {
        (None, "modelbench:judge0", "safe"): 1,
        (None, "modelbench:judge1", "unsafe"): 1,
        (None, "modelbench:judge0", "unparsed"): 1,
    }
