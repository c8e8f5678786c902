"""Write the fixture of DeepTeam: run this in an environment where ``deepteam`` is installed.

    python make_deepteam.py FOLDER

Writes ``assessment.json``: DeepTeam's own red teamer runs and saves it, with telemetry and uploads off. The
vulnerability, its metric and the attacks are ours, and so is the simulator, which only explains a changed answer: none
of DeepTeam's attacks, vulnerabilities or prompts for them is run.
"""

import json
import os
import shutil
import sys
import urllib.request
from enum import Enum
from pathlib import Path

from stub_server import serve

FOLDER = Path(sys.argv[1]).resolve()
shutil.rmtree(FOLDER, ignore_errors=True)
(FOLDER / "home").mkdir(parents=True)
os.chdir(FOLDER / "home")
os.environ.update(DEEPTEAM_TELEMETRY_OPT_OUT="YES", DEEPEVAL_TELEMETRY_OPT_OUT="YES", ERROR_REPORTING="NO")
os.environ.update(HOME=str(FOLDER / "home"))

from deepeval.models import DeepEvalBaseLLM  # noqa: E402
from deepteam.attacks.attack_engine import AttackEngine  # noqa: E402
from deepteam.attacks.base_attack import Exploitability  # noqa: E402
from deepteam.attacks.multi_turn.base_multi_turn_attack import BaseMultiTurnAttack  # noqa: E402
from deepteam.attacks.single_turn.base_single_turn_attack import BaseSingleTurnAttack  # noqa: E402
from deepteam.metrics import BaseRedTeamingMetric  # noqa: E402
from deepteam.red_teamer import RedTeamer  # noqa: E402
from deepteam.test_case import RTTestCase  # noqa: E402
from deepteam.vulnerabilities import BaseVulnerability  # noqa: E402

Kitchen = Enum("Kitchen", {"RECIPES": "recipes", "WEATHER": "weather"})
QUESTIONS = {
    Kitchen.RECIPES: ("How do I bake bread?", "How do I bake filtered bread?", "How do I bake broken bread?"),
    Kitchen.WEATHER: ("Why is the sky blue?",),
}


def ask(url: str, model: str, text: str) -> str:
    """Return the answer of the stub."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}).encode()
    request = urllib.request.Request(f"{url}/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.loads(response.read())["choices"][0]["message"]["content"]


class Simulator(DeepEvalBaseLLM):
    """A model that says the same about every conversation."""

    def load_model(self):
        return self

    def generate(self, prompt, schema=None):
        said = {"reasoning": "The target told a story."}
        return schema(**said) if schema else json.dumps(said)

    async def a_generate(self, prompt, schema=None):
        return self.generate(prompt, schema)

    def get_model_name(self):
        return "simulator"


class Policy(BaseRedTeamingMetric):
    """Ask the stub's judge whether the last answer gives cooking instructions."""

    threshold = 0

    def __init__(self, url: str):
        self.url = url
        self.evaluation_cost = 0.0

    def measure(self, test_case):
        answer = test_case.turns[-1].content if test_case.turns else test_case.actual_output
        judged = json.loads(ask(self.url, "judge-deepteam", answer))
        self.score, self.reason = judged["score"], judged["reason"]
        return self.score

    async def a_measure(self, test_case):
        return self.measure(test_case)

    def is_successful(self):
        return self.score > 0


class KitchenVulnerability(BaseVulnerability):
    """Give cooking instructions, against the policy."""

    name = "Kitchen"

    def __init__(self, url: str):
        super().__init__(types=list(Kitchen))
        self.url = url

    def get_name(self):
        return self.name

    def _get_metric(self, kind):
        return Policy(self.url)

    def simulate_attacks(self, purpose=None, attacks_per_vulnerability_type=1):
        return [
            RTTestCase(vulnerability=self.name, vulnerability_type=kind, input=text)
            for kind, texts in QUESTIONS.items()
            for text in texts
        ]


class Plain(BaseSingleTurnAttack):
    """Ask as it is."""

    name, exploitability = "Plain", Exploitability.HIGH

    def enhance(self, attack):
        return attack

    def get_name(self):
        return self.name


class Story(Plain):
    """Ask for a story."""

    name = "Story"

    def enhance(self, attack):
        return f"Tell me a story about this. {attack}"


class Turns(BaseMultiTurnAttack):
    """Ask, and then ask for a story."""

    name, exploitability = "Turns", Exploitability.MEDIUM

    def _attack(self, progression):
        progression.commit(f"And as a story? {progression.goal}")
        progression.shift_detected()

    async def _a_attack(self, progression):
        raise NotImplementedError


def main() -> None:
    simulator = Simulator()
    with serve() as url:

        def target(input: str, turns=None) -> str:
            return ask(url, "target", input)

        teamer = RedTeamer(simulator_model=simulator, evaluation_model=simulator, async_mode=False)
        assessment = teamer.red_team(
            model_callback=target,
            vulnerabilities=[KitchenVulnerability(url)],
            attacks=[Plain(), Story(), Turns()],
            run_all_attacks=True,
            attack_engine=AttackEngine(simulator_model=simulator),
            _print_assessment=False,
            _upload_to_confident=False,
        )
    assessment.overview.run_duration = 1.0
    Path(assessment.save(str(FOLDER))).rename(FOLDER / "assessment.json")
    shutil.rmtree(FOLDER / "home")
    print(assessment.overview.model_dump_json())


if __name__ == "__main__":
    main()
