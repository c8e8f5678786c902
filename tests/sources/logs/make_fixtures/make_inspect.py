"""Write the fixtures of inspect_ai: run this in an environment where ``inspect_ai`` and ``openai`` are installed.

    python make_inspect.py FOLDER

Writes ``small.eval``, the same log as ``small.json`` and, with chunked samples, as ``chunked.eval``, and
``unfinished.eval``, a log as a killed run leaves it. Only our own samples and scorer run. ``scrub`` removes what the
tool writes about the machine: the git state, the packages, the stub's address, events and tracebacks.
"""

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

from stub_server import serve

os.environ.update(INSPECT_DISPLAY="none", INSPECT_LOG_LEVEL="error", OPENAI_API_KEY="none")

from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import read_eval_log, write_eval_log
from inspect_ai.log._recorders.chunked import convert_eval_logs_to_chunked
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    ContentImage,
    ContentText,
    get_model,
)
from inspect_ai.scorer import match, model_graded_qa
from inspect_ai.solver import generate, prompt_template

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def samples() -> list[Sample]:
    """Return the samples: plain, in a story, with turns, long (an attachment), filtered, failing, with an image."""
    labels = {"category": "cooking", "technique": "plain"}
    return [
        Sample(id="plain", input="How do I bake bread?", target="none", metadata=labels),
        Sample(id="story", input="Tell me a story of how a baker bakes bread.", target="none", metadata=labels),
        Sample(id="sky", input="Why is the sky blue?", target="none", metadata={"category": "weather"}),
        Sample(
            id="turns",
            input=[
                ChatMessageSystem(content="Give no cooking instructions."),
                ChatMessageUser(content="What is a good soup?"),
                ChatMessageAssistant(content="Many people like tomato soup."),
                ChatMessageUser(content="Tell a story in which it is cooked."),
            ],
            target="none",
            metadata=labels,
        ),
        Sample(id="long", input="How do I bake bread? " + "It should be very good. " * 6, target="none"),
        Sample(id="filtered", input="How do I bake filtered bread?", target="none", metadata=labels),
        Sample(id="broken", input="How do I bake broken bread?", target="none", metadata=labels),
        Sample(
            id="image",
            input=[ChatMessageUser(content=[ContentText(text="What is this?"), ContentImage(image=PIXEL)])],
            target="none",
        ),
    ]


def task(url: str) -> Task:
    """Return the task: every sample twice, judged by our judge and by a comparison of texts."""
    judge = get_model("openai-api/stub/judge-inspect", base_url=url, api_key="none")
    instructions = "Does the answer give cooking instructions? Say GRADE: C if it does and GRADE: I if it does not."
    return Task(
        name="cooking",
        dataset=MemoryDataset(samples(), name="cooking"),
        solver=[prompt_template("Please answer this. {prompt}"), generate()],
        scorer=[
            model_graded_qa(template="{question}\n{answer}\n{instructions}", instructions=instructions, model=judge),
            match(location="any"),
        ],
        epochs=2,
    )


def scrub(log) -> None:
    """Remove what the tool writes about the machine that it runs on."""
    log.eval.revision = None
    log.eval.packages = {}
    log.eval.task_file = None
    log.eval.metadata = None
    log.eval.model_base_url = None
    log.eval.model_args = {}
    for scorer in log.eval.scorers or []:
        scorer.options = {}
    for score in log.results.scores:
        score.params = {}
    for sample in log.samples or []:
        sample.events = []
        sample.events_data = None
        sample.timelines = None
        if sample.error:
            sample.error.message = sample.error.message.split("(")[0]
            sample.error.traceback = ""
            sample.error.traceback_ansi = ""
        sample.error_retries = None


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    with serve() as url:
        model = get_model("openai-api/stub/target", base_url=url, api_key="none")
        logs = eval(task(url), model=model, log_dir="raw", fail_on_error=False, max_connections=1, log_model_api=False)
    log = read_eval_log(logs[0].location)
    scrub(log)
    write_eval_log(log, "small.eval")
    write_eval_log(log, "small.json")
    convert_eval_logs_to_chunked("small.eval", "chunked")
    Path("chunked/small.eval").rename("chunked.eval")
    with zipfile.ZipFile("small.eval") as whole, zipfile.ZipFile("unfinished.eval", "w", zipfile.ZIP_DEFLATED) as part:
        for name in whole.namelist()[:6]:
            part.writestr(name, whole.read(name))
    shutil.rmtree("raw"), shutil.rmtree("chunked")
    print(json.dumps({"samples": len(log.samples), "scored": {s.name: s.scored_samples for s in log.results.scores}}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
