"""Speed of the transformers backend compared with a bare loop over ``model.generate``, on the same batches.

    python benchmarks/generation.py [--requests 1000] [--samples 2] [--tokens 32] [--runs 5] [--hidden 96 512]

The models are untrained Llamas. The backend's time covers everything: chat template, tokenisation, planning,
generation, decoding, and one Parquet file written and flushed per batch. The bare loop only generates: its batches are
padded tensors on the device before timing starts, and its tokens are discarded. Both sample with the same settings; the
bare loop draws with one generator for a batch, the backend with numbers of its own for each answer, so the number of
tokens differs a little. The two alternate. The figures are medians of tokens per second with their range, and the ratio
of the medians, whose target is at least 0.9. On a shared CPU the ratio of the processor times of a token varies less.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from seas_data.models.protocol import PromptFormat, Sampling
from seas_data.models.transformers_backend import TransformersBackend, open_backend
from seas_data.recipe import ModelInProcess
from seas_data.sandbox.phrases import list_words
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
            with open_backend("T0", ModelInProcess(model=str(Path(folder, "model")))) as model:
                row = compare(model, arguments, Path(folder))
        print(f"| {hidden}, {layers} | {row}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Generation beside a bare loop; prints Markdown.")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--hidden", type=int, nargs="*", default=[96, 512])
    return parser.parse_args()


def compare(model: TransformersBackend, arguments: argparse.Namespace, folder: Path) -> str:
    requests, sampling = create_requests(arguments.requests), Sampling(max_new_tokens=arguments.tokens)
    batches = pad_batches(model, requests, arguments.samples, sampling)
    bare_speeds, own_speeds, bare_work, own_work = [], [], [], []
    for run in range(arguments.runs + 1):
        start = time.perf_counter(), time.process_time()
        bare = sum(generate_bare(model, batch, sampling) for batch in batches)
        middle = time.perf_counter(), time.process_time()
        answers = model.generate(requests, sampling, arguments.samples, folder / str(run), "answers")
        end = time.perf_counter(), time.process_time()
        own = int(answers["tokens"].sum())
        assert abs(own / bare - 1) < 0.05, f"the two wrote {own} and {bare} tokens"
        if run:  # the first one warms up
            bare_speeds.append(bare / (middle[0] - start[0]))
            own_speeds.append(own / (end[0] - middle[0]))
            bare_work.append((middle[1] - start[1]) / bare)
            own_work.append((end[1] - middle[1]) / own)
    ratio = statistics.median(own_speeds) / statistics.median(bare_speeds)
    work = statistics.median(bare_work) / statistics.median(own_work)
    print(f"microseconds of a token: {statistics.median(bare_work) * 1e6:.2f} bare", end=", ", file=sys.stderr)
    print(f"{statistics.median(own_work) * 1e6:.2f} ours", file=sys.stderr)
    return f"{len(batches)} | {format_speeds(bare_speeds)} | {format_speeds(own_speeds)} | {ratio:.3f} | {work:.3f} |"


def create_requests(count: int) -> pl.DataFrame:
    """Return ``count`` requests of 5 to 40 words of the sandbox."""
    known, chance = list_words(), np.random.default_rng(0)
    texts = [" ".join(chance.choice(known, chance.integers(5, 41))) for _ in range(count)]
    messages = [[{"role": "user", "content": text}] for text in texts]
    return pl.DataFrame({"request_id": [f"{number:08}" for number in range(count)], "messages": messages})


def pad_batches(
    model: TransformersBackend, requests: pl.DataFrame, samples: int, sampling: Sampling
) -> list[dict[str, Any]]:
    """Return the backend's batches as tensors, each with a seed."""
    rows, _ = model.to_rows(requests, samples, PromptFormat())
    batches = []
    for seed, batch in enumerate(model.plan_batches(rows, sampling)):
        width = max(len(row.tokens) for row in batch)
        ids = torch.full((len(batch), width), model.tokenizer.pad_token_id)
        for position, row in enumerate(batch):
            ids[position, width - len(row.tokens) :] = torch.from_numpy(row.tokens)
        mask = (ids != model.tokenizer.pad_token_id).long()
        tensors = {"input_ids": ids.to(model.model.device), "attention_mask": mask.to(model.model.device)}
        batches.append({"seed": seed, "tensors": tensors})
    return batches


def generate_bare(model: TransformersBackend, batch: dict[str, Any], sampling: Sampling) -> int:
    """Generate one batch with transformers only; return the number of generated tokens without end tokens."""
    torch.manual_seed(batch["seed"])
    with torch.inference_mode():
        written = model.model.generate(
            **batch["tensors"],
            do_sample=True,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=0,
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=model.end_ids,
            pad_token_id=model.tokenizer.pad_token_id,
        )[:, batch["tensors"]["input_ids"].shape[1] :]
    ended = torch.isin(written, torch.tensor(model.end_ids, device=written.device))
    return int((ended.cumsum(1) == 0).sum())


def format_speeds(speeds: list[float]) -> str:
    return f"{statistics.median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})"


if __name__ == "__main__":
    main()
