"""Generation in process beside a bare loop over ``model.generate``, on the same batches of the same model in one run.

    python benchmarks/generation.py [--requests 1000] [--samples 2] [--tokens 32] [--runs 5] [--hidden 96 512]

The models are Llamas made from scratch. Ours is the whole of it: chat template, tokens, plan, generation, texts, and a
Parquet part flushed to the disk for each batch. The bare loop has nothing to do but generate: its batches are padded
tensors on the device before the clock runs, and it throws the tokens away. Both draw with the same settings and seeds,
so they write the same tokens (checked). The two take turns; the figures are medians of tokens a second, with the ends
of the range, and their ratio, which is to be at least 0.9 and can be less. On a CPU that others use too, the ratio by
processor time is the steadier one.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from seas_data.models import generation_cache as parts
from seas_data.models.in_process import InProcess, in_process
from seas_data.models.protocol import Asking, Sampling
from seas_data.recipe import ModelInProcess
from seas_data.sandbox.phrases import words
from seas_data.sandbox.tiny import write_model


def main() -> None:
    arguments = parse()
    print(f"{arguments.requests} requests, {arguments.samples} samples each, up to {arguments.tokens} new tokens")
    print("\n| hidden size, layers | batches | bare loop, tokens/s | ours, tokens/s | ratio | by processor time |")
    print("|---|---|---|---|---|---|")
    for hidden in arguments.hidden:
        with tempfile.TemporaryDirectory() as folder:
            layers = 2 if hidden < 256 else 8
            write_model(Path(folder, "model"), layers=layers, seed=0, hidden=hidden, heads=4, intermediate=3 * hidden)
            with in_process("T0", ModelInProcess(model=str(Path(folder, "model")))) as model:
                row = side_by_side(model, arguments, Path(folder))
        print(f"| {hidden}, {layers} | {row}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Generation beside a bare loop; prints Markdown.")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--hidden", type=int, nargs="*", default=[96, 512])
    return parser.parse_args()


def side_by_side(model: InProcess, arguments: argparse.Namespace, folder: Path) -> str:
    requests, sampling = asked(arguments.requests), Sampling(max_new_tokens=arguments.tokens)
    batches = padded(model, requests, arguments.samples, sampling)
    bare_speeds, own_speeds, bare_work, own_work = [], [], [], []
    for run in range(arguments.runs + 1):
        start = time.perf_counter(), time.process_time()
        bare = sum(loop(model, batch, sampling) for batch in batches)
        middle = time.perf_counter(), time.process_time()
        answers = model.generate(requests, sampling, arguments.samples, folder / str(run), "answers")
        end = time.perf_counter(), time.process_time()
        own = int(answers["tokens"].sum())
        assert own == bare, f"the two wrote {own} and {bare} tokens"
        if run:  # the first one warms up
            bare_speeds.append(bare / (middle[0] - start[0]))
            own_speeds.append(own / (end[0] - middle[0]))
            bare_work.append(middle[1] - start[1])
            own_work.append(end[1] - middle[1])
    ratio = statistics.median(own_speeds) / statistics.median(bare_speeds)
    work = statistics.median(bare_work) / statistics.median(own_work)
    return f"{len(batches)} | {shown(bare_speeds)} | {shown(own_speeds)} | {ratio:.3f} | {work:.3f} |"


def asked(count: int) -> pl.DataFrame:
    """Questions of 5 to 40 words of the sandbox."""
    known, chance = words(), np.random.default_rng(0)
    texts = [" ".join(chance.choice(known, chance.integers(5, 41))) for _ in range(count)]
    messages = [[{"role": "user", "content": text}] for text in texts]
    return pl.DataFrame({"request_id": [f"{number:08}" for number in range(count)], "messages": messages})


def padded(model: InProcess, requests: pl.DataFrame, samples: int, sampling: Sampling) -> list[dict[str, Any]]:
    """Return our batches as tensors, each with its seed."""
    rows, _ = model._rows(requests, samples, Asking())
    lengths = np.array([len(row.tokens) for row in rows])
    settings = model.settings
    batches = []
    for plan in parts.plan(lengths, sampling.max_new_tokens, settings.batch_tokens, settings.batch_rows):
        batch = [rows[number] for number in plan]
        width = max(len(row.tokens) for row in batch)
        ids = torch.full((len(batch), width), model.tokenizer.pad_token_id)
        for place, row in enumerate(batch):
            ids[place, width - len(row.tokens) :] = torch.from_numpy(row.tokens)
        mask = (ids != model.tokenizer.pad_token_id).long()
        tensors = {"input_ids": ids.to(model.model.device), "attention_mask": mask.to(model.model.device)}
        batches.append({"seed": parts.seed(sampling, [row.key for row in batch]), "tensors": tensors})
    return batches


def loop(model: InProcess, batch: dict[str, Any], sampling: Sampling) -> int:
    """Generate one batch by transformers alone; return how many tokens it wrote, end marks not counted."""
    torch.manual_seed(batch["seed"])
    with torch.inference_mode():
        written = model.model.generate(
            **batch["tensors"],
            do_sample=True,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=0,
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=model.ends,
            pad_token_id=model.tokenizer.pad_token_id,
        )[:, batch["tensors"]["input_ids"].shape[1] :]
    ended = torch.isin(written, torch.tensor(model.ends, device=written.device))
    return int((ended.cumsum(1) == 0).sum())


def shown(speeds: list[float]) -> str:
    return f"{statistics.median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})"


if __name__ == "__main__":
    main()
