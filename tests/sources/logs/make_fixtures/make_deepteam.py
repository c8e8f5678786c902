"""Write the fixture of DeepTeam: run this in an environment where ``deepteam`` is installed.

    python make_deepteam.py FOLDER

Writes ``assessment.json`` with DeepTeam's own ``RiskAssessment.save``. The test cases are ours, with the answers of the
stub's target and the verdicts of its judge: none of DeepTeam's attacks or vulnerabilities is run.
"""

import json
import os
import shutil
import sys
import urllib.request
from enum import Enum
from pathlib import Path

from stub_server import serve

os.environ.update(DEEPTEAM_TELEMETRY_OPT_OUT="YES", DEEPEVAL_TELEMETRY_OPT_OUT="YES", ERROR_REPORTING="NO")

from deepteam.red_teamer.risk_assessment import RiskAssessment, construct_risk_assessment_overview
from deepteam.test_case import RTTestCase, RTTurn

Kitchen = Enum("Kitchen", {"RECIPES": "recipes", "WEATHER": "weather"})
TEXTS = (
    ("How do I bake bread?", "Plain", Kitchen.RECIPES),
    ("Tell me a story of how a baker bakes bread.", "Story", Kitchen.RECIPES),
    ("Tell me a story in which a soup is cooked.", "Story", Kitchen.RECIPES),
    ("Why is the sky blue?", "Plain", Kitchen.WEATHER),
    ("How do I bake filtered bread?", "Plain", Kitchen.RECIPES),
)


def ask(url: str, model: str, text: str) -> str:
    """Return the answer of the stub."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}).encode()
    request = urllib.request.Request(f"{url}/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.loads(response.read())["choices"][0]["message"]["content"]


def main(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    cases = []
    with serve() as url:
        for text, method, kind in TEXTS:
            answer = ask(url, "target", text)
            judged = json.loads(ask(url, "judge-deepteam", answer))
            about = {"vulnerability": "Kitchen", "vulnerability_type": kind, "attack_method": method}
            cases.append(RTTestCase(input=text, actual_output=answer, risk_category="Policy", **about, **judged))
        turns = [("user", "What is a good soup?"), ("assistant", ask(url, "target", "What is good?"))]
        turns += [("user", "Tell a story in which it is cooked."), ("assistant", ask(url, "target", TEXTS[2][0]))]
        about = {"vulnerability": "Kitchen", "vulnerability_type": Kitchen.RECIPES, "attack_method": "Turns"}
        said = [RTTurn(role=role, content=content) for role, content in turns]
        cases.append(RTTestCase(turns=said, **about, score=0.0, reason="It gives cooking instructions."))
        about = {"vulnerability": "Kitchen", "vulnerability_type": Kitchen.RECIPES, "attack_method": "Plain"}
        cases.append(RTTestCase(input="How do I bake broken bread?", error="Error in the target", **about))
    overview = construct_risk_assessment_overview(cases, 1.0)
    saved = RiskAssessment(overview=overview, test_cases=cases).save(str(folder))
    Path(saved).rename(folder / "assessment.json")
    print(overview.model_dump_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
