r"""Which fields of a request a server takes, and how fast servers are: the tables in docs/servers.md.

    python benchmarks/servers.py URL --model NAME [--tokens 24] [--sampling JSON]
    python benchmarks/servers.py --throughput [--requests 500] [--tokens 48] [--serve 'NAME=COMMAND' ...]

The first gives a column of the table of fields: what a server takes, ignores or refuses. URL ends with the version
(http://127.0.0.1:8000/v1). Each field is sent in chats of its own, and the reply says what became of it: one that
changes nothing was ignored. The chat template of the model should read the keyword
``extra_word`` (``--make-model FOLDER`` writes a tiny untrained model that has one), or nothing is said about template
keywords. A model that gives the same answer to everything shows nothing. ``--sampling`` has more fields for requests
with a temperature above 0, if the server needs some to sample; for ``transformers serve``, which otherwise takes the
likeliest token, they are '{"generation_config": "{\"do_sample\": true}"}'.

``--throughput`` needs SmolLM2 (``make smollm2``). It sends the same attacks of ``pipelines/smollm2.yaml``, with the
target's system prompt, to SmolLM2 in this process and then to each server, which the package starts by COMMAND (with
{model} and {port}), uses through its HTTP backend with the default concurrency, and stops. Answers are greedy.
Processor time is that of this process and all its children, so other work on the machine does not count in it.
"""

import argparse
import json
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import polars as pl

import seas_data as sd
from seas_data.models import open_model
from seas_data.models.protocol import greedy_sampling
from seas_data.recipe import ModelHttp, ModelInProcess

CHECKOUT: Final = Path(__file__).parents[1]
MODEL: Final = "smollm2-135m-instruct"
Ask = Callable[..., tuple[int, dict[str, Any]]]
"""Sends one chat with the fields given; returns the status and the reply."""
TEMPLATE_WORD: Final = "word1"


def observe(ask: Ask) -> dict[str, str]:
    """Return what became of each field."""
    return {
        "`max_tokens`": _max_tokens(ask),
        "`temperature: 0`": _greedy(ask),
        "`seed`": _seed(ask),
        "`n`": _several(ask),
        "`logprobs`": _logprobs(ask),
        "`top_k`": _top_k(ask),
        "`chat_template_kwargs`": _template_keywords(ask),
        "`stop`": _stop(ask),
        "a field that does not exist": _unknown(ask),
    }


def _max_tokens(ask: Ask) -> str:
    status, reply = ask(temperature=0, max_tokens=3)
    if status != 200:
        return _refused(status)
    tokens, reason = _tokens(reply), _choice(reply).get("finish_reason")
    return f"taken, finish reason `{reason}`" if tokens in (3, None) else f"ignored: {tokens} tokens of 3"


def _greedy(ask: Ask) -> str:
    asked = [ask(temperature=0) for _ in range(3)]
    equal = len({_text(reply) for _, reply in asked}) == 1
    return _say(asked, "taken: three answers are equal" if equal else "ignored: three answers differ")


def _seed(ask: Ask) -> str:
    asked = [ask(temperature=1, seed=11) for _ in range(3)]
    if len({_text(ask(temperature=1)[1]) for _ in range(3)}) == 1:
        return _say(asked, "unknown: the server does not sample")
    equal = len({_text(reply) for _, reply in asked}) == 1
    return _say(asked, "taken: three answers are equal" if equal else "ignored: equal seeds give other answers")


def _several(ask: Ask) -> str:
    status, reply = ask(temperature=1, n=3, seed=11)
    if status != 200:
        return _refused(status)
    texts = [_content(choice) for choice in reply.get("choices", [])]
    return (
        f"taken: 3 choices, {len(set(texts))} of them different" if len(texts) == 3 else f"ignored: {len(texts)} choice"
    )


def _logprobs(ask: Ask) -> str:
    status, reply = ask(temperature=0, logprobs=True, top_logprobs=5)
    if status != 200:
        return _refused(status)
    steps = (_choice(reply).get("logprobs") or {}).get("content") or []
    return (
        f"taken: {len(steps[0].get('top_logprobs', []))} alternatives of 5" if steps else "ignored: none in the reply"
    )


def _top_k(ask: Ask) -> str:
    greedy = _text(ask(temperature=0)[1])
    asked = [ask(temperature=1, top_k=1) for _ in range(3)]
    equal = {_text(reply) for _, reply in asked} == {greedy}
    return _say(asked, "taken: 1 gives the greedy answer" if equal else "ignored: 1 still samples")


def _template_keywords(ask: Ask) -> str:
    before = _prompt_tokens(ask(temperature=0)[1])
    status, reply = ask(temperature=0, chat_template_kwargs={"extra_word": TEMPLATE_WORD})
    after = _prompt_tokens(reply)
    if status != 200:
        return _refused(status)
    if before is None or after is None:
        return "unknown: the server counts no tokens of the prompt"
    return "taken" if after > before else "ignored, if the template reads it"


def _stop(ask: Ask) -> str:
    before = [_text(ask(temperature=1)[1]).strip() for _ in range(3)]
    part = next((text[:3] for text in before if text), "")
    if not part or not all(part in text for text in before):
        return "unknown: the answers begin differently"
    asked = [ask(temperature=1, stop=[part]) for _ in range(3)]
    taken = not any(part in _text(reply) for _, reply in asked)
    return _say(asked, "taken: the text ends before it" if taken else "ignored")


def _unknown(ask: Ask) -> str:
    status, _ = ask(temperature=0, no_such_field=1)
    return "ignored" if status == 200 else _refused(status)


def _refused(status: int) -> str:
    return f"refused (status {status})"


def _choice(reply: dict[str, Any]) -> dict[str, Any]:
    choices = reply.get("choices") or [{}]
    return dict(choices[0])


def _content(choice: dict[str, Any]) -> str:
    return str((choice.get("message") or {}).get("content") or "")


def _text(reply: dict[str, Any]) -> str:
    return _content(_choice(reply))


def _say(asked: Sequence[tuple[int, dict[str, Any]]], seen: str) -> str:
    """Return ``seen``, or that one of the requests was refused."""
    return next((_refused(status) for status, _ in asked if status != 200), seen)


def _tokens(reply: dict[str, Any]) -> int | None:
    return (reply.get("usage") or {}).get("completion_tokens")


def _prompt_tokens(reply: dict[str, Any]) -> int | None:
    return (reply.get("usage") or {}).get("prompt_tokens")


def make_ask(url: str, model: str, tokens: int, sampling: Mapping[str, Any] | None = None) -> Ask:
    """Return a function that sends one chat to the server at ``url``; with ``sampling`` above temperature 0."""
    message = {"role": "user", "content": "word2 word3 word5 word7"}

    def ask(**fields: Any) -> tuple[int, dict[str, Any]]:
        body = {"model": model, "messages": [message], "max_tokens": tokens} | fields
        body |= dict(sampling or {}) if fields.get("temperature") else {}
        reply = httpx.post(f"{url.rstrip('/')}/chat/completions", json=body, timeout=600, trust_env=False)
        try:
            content = reply.json()
        except ValueError:
            content = {}
        return reply.status_code, content if isinstance(content, dict) else {}

    return ask


def make_model(folder: Path) -> None:
    """Write a tiny untrained model whose chat template reads ``extra_word``."""
    from transformers import AutoTokenizer

    from seas_data.sandbox.tiny import CHAT_TEMPLATE, write_model

    words = [f"word{number}" for number in range(64)]
    write_model(folder, layers=2, seed=3, hidden=64, heads=2, intermediate=128, vocabulary=words)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "{% if extra_word is defined %}{{ extra_word + ' ' }}{% endif %}" + CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)


def compare_throughput(commands: Mapping[str, list[str]], count: int, tokens: int) -> pl.DataFrame:
    """Return what ``count`` answers of ``tokens`` tokens took in this process and with the server of each command.

    Output columns: name, answered, tokens, start_seconds, wall_seconds, processor_seconds, ms_a_token, equal (the
    number of answers that are those of this process).
    """
    settings: dict[str, ModelInProcess | ModelHttp] = {
        "in this process": ModelInProcess(model=MODEL, device="cpu", precision="fp32", max_batch_rows=64)
    }
    settings |= {name: ModelHttp(backend="http", model=MODEL, serve=command) for name, command in commands.items()}
    requests, rows, texts = read_requests(count), [], None
    for name, chosen in settings.items():
        with tempfile.TemporaryDirectory() as folder:
            row, answers = measure(chosen, requests, tokens, Path(folder))
        own = answers.select("request_id", own="text")
        texts = own.rename({"own": "first"}) if texts is None else texts
        equal = texts.join(own, on="request_id").filter(pl.col("first") == pl.col("own")).height
        rows.append({"name": name, **row, "equal": equal})
        print(rows[-1], flush=True)
    return pl.DataFrame(rows)


def read_requests(count: int) -> pl.DataFrame:
    """Return ``count`` attacks of the recipe as chats: request_id, messages. They are spread over the file."""
    loop = sd.load_recipe(CHECKOUT / "pipelines" / "smollm2.yaml").loop
    assert loop is not None
    attacks = pl.read_ndjson(CHECKOUT / "pipelines" / "smollm2" / "attacks.jsonl")
    chosen = attacks[[place * attacks.height // count for place in range(count)]]
    system = {"role": "system", "content": loop.target.system}
    return pl.DataFrame(
        {
            "request_id": [f"{number:04}" for number in range(count)],
            "messages": [[system, {"role": "user", "content": text}] for text in chosen["prompt"]],
        }
    )


def measure(
    settings: ModelInProcess | ModelHttp, requests: pl.DataFrame, tokens: int, folder: Path
) -> tuple[dict[str, float], pl.DataFrame]:
    """Return the figures of one model, and its answers."""
    started = time.monotonic()
    with open_model("T0", settings, folder) as model:
        ready, before = time.monotonic(), processor_seconds()
        answers = model.generate(requests, greedy_sampling(tokens), 1, folder / "answers", "answers")
        used, ended = processor_seconds() - before, time.monotonic()
    written = int(answers["tokens"].sum())
    return {
        "answered": answers["text"].count(),
        "tokens": written,
        "start_seconds": ready - started,
        "wall_seconds": ended - ready,
        "processor_seconds": used,
        "ms_a_token": 1000 * used / max(written, 1),
    }, answers


def processor_seconds() -> float:
    """Return the processor time of this process and of its running children."""
    import psutil

    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def show_throughput(commands: Sequence[str], count: int, tokens: int) -> None:
    """Print the table of ``compare_throughput``."""
    named = {name: shlex.split(command) for name, _, command in (each.partition("=") for each in commands)}
    found = compare_throughput(named, count, tokens)
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    print(f"\n{count} requests, at most {tokens} tokens, OMP_NUM_THREADS {threads}, load {os.getloadavg()[1]:.1f}\n")
    print("| | ms of processor time a token | start, s | wall, s | tokens | equal answers |\n|---|---|---|---|---|---|")
    for row in found.iter_rows(named=True):
        print(
            f"| {row['name']} | {row['ms_a_token']:.1f} | {row['start_seconds']:.0f} | {row['wall_seconds']:.0f} | "
            f"{row['tokens']:,} | {row['equal']} of {row['answered']} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--model", default="")
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--sampling", type=json.loads, default={}, metavar="JSON")
    parser.add_argument("--make-model", type=Path, metavar="FOLDER")
    parser.add_argument("--throughput", action="store_true")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--serve", action="append", default=[], metavar="NAME=COMMAND")
    arguments = parser.parse_args()
    if arguments.throughput:
        show_throughput(arguments.serve, arguments.requests, arguments.tokens or 48)
        return
    if arguments.make_model is not None:
        make_model(arguments.make_model)
    if arguments.url is not None:
        try:
            found = observe(make_ask(arguments.url, arguments.model, arguments.tokens or 24, arguments.sampling))
        except httpx.TransportError as problem:
            raise SystemExit(f"no server answers at {arguments.url}: {problem}; start it or correct the URL") from None
        print("| field | what became of it |\n|---|---|")
        for field, seen in found.items():
            print(f"| {field} | {seen} |")


if __name__ == "__main__":
    main()
