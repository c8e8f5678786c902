"""The loop with SmolLM2: what a build of it gave, and how fast it trains and generates beside plain libraries.

    python benchmarks/smollm2.py runs --folder runs [--seeds 1 2 3] [--runs seas mart] [--set KEY=VALUE]
    python benchmarks/smollm2.py evidence [NAME=WORKSPACE ...] [--write]
    python benchmarks/smollm2.py speed [--updates 2] [--threads 1]

``runs`` builds the full loop for each seed and the controls for the first, each in ``FOLDER/NAME-SEED``; what is
complete is not built again, so the command continues where it was stopped. Each run is put on the page at once.
``evidence`` reads the newest version of each workspace that ``seas-data build pipelines/smollm2.yaml`` made and prints
its figures, with the settings that differ from the recipe's. ``--write`` stores them in ``benchmarks/smollm2.json``,
where a run replaces the earlier one of its name, and writes docs/evidence.md from all stored runs, so that later runs
add to the page. ``speed`` needs the model (``make smollm2``) and times in one run, by processor time:

- matrix products of the model's shapes, the most that a step could reach;
- DPO updates of eight pairs by this package and by TRL's DPOTrainer with its defaults, on the same rows;
- answers of the transformers backend and of plain ``generate`` calls, 16 requests with four samples each.

Both sides have the same precision: fp32, and then bf16 where the processor multiplies it. The ratios are its result; a
ratio of less than 1 says that the package is slower.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import polars as pl
from sandbox import table
from smollm2_evidence import show_evidence
from smollm2_runs import RUNS, build_runs

import seas_data as sd

CHECKOUT = Path(__file__).parents[1]
Precision = Literal["fp32", "bf16"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    evidence = commands.add_parser("evidence")
    evidence.add_argument("runs", nargs="*", metavar="NAME=WORKSPACE")
    evidence.add_argument("--write", action="store_true")
    evidence.set_defaults(run=show_evidence)
    runs = commands.add_parser("runs")
    runs.add_argument("--folder", type=Path, required=True)
    runs.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    runs.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    runs.add_argument("--iterations", type=int, default=3)
    runs.add_argument("--control-iterations", type=int, default=2)
    runs.add_argument("--threads", type=int, default=2)
    runs.add_argument("--set", action="append", default=[], help="a change of the recipe for all runs")
    runs.set_defaults(run=build_runs)
    speed = commands.add_parser("speed")
    speed.add_argument("--updates", type=int, default=2)
    speed.add_argument("--threads", type=int, default=1)
    speed.set_defaults(run=measure_speed)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except sd.SeasDataError as problem:
        parser.error(str(problem))


def measure_speed(arguments: argparse.Namespace) -> None:
    import torch

    from seas_data.similarity.bfloat16 import has_cpu_bf16

    torch.set_num_threads(arguments.threads)
    rows = []
    precisions: list[Precision] = ["fp32", "bf16"] if has_cpu_bf16() else ["fp32"]
    for precision in precisions:
        peak = measure_peak(precision)
        print(f"{precision} matrix products: {peak:.0f} GFLOP/s on {arguments.threads} threads")
        with tempfile.TemporaryDirectory() as folder:
            rows.append(compare_training(Path(folder), arguments.updates, precision, peak))
            rows.append(compare_generation(Path(folder), precision))
    print(table(["", "ours, ms of processor time a token", "plain", "ratio", "share of the matrix products"], rows))


def measure_peak(precision: Precision) -> float:
    """Return the GFLOP/s of the products of a layer of the model."""
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    inputs, weights = torch.randn(1024, 576, dtype=dtype), torch.randn(1536, 576, dtype=dtype)
    torch.nn.functional.linear(inputs, weights)
    seconds, _ = processor_time(lambda: [torch.nn.functional.linear(inputs, weights) for _ in range(100)])
    return float(100 * 2 * 1024 * 576 * 1536 / seconds / 1e9)


def compare_training(folder: Path, updates: int, precision: Precision, peak: float) -> list[str]:
    """Return the row of DPO: processor time of a trained token, without loading the model and writing the result."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from seas_data.models.bundled import resolve_bundled
    from seas_data.recipe import TrainingDpo
    from seas_data.train import fit
    from seas_data.train.dpo import make_trainer
    from seas_data.train.job import Job, prepare, prepared_rows

    model = str(resolve_bundled("smollm2-135m-instruct"))
    pairs = pl.read_ndjson(CHECKOUT / "pipelines" / "smollm2" / "preferences.jsonl").head(8 * updates)
    pairs = pairs.select("prompt", "chosen", "rejected")
    settings = TrainingDpo(
        learning_rate=2e-5,
        max_length=320,
        gradient_checkpointing=False,
        precompute_ref_log_probs=True,
        device="cpu",
        precision=precision,
    )
    job = Job(method="dpo", model=model, settings=settings, output=folder / "ours")
    prepare(job, pairs)
    tokenizer = fit.rows.load_tokenizer(model, settings)
    with fit.score_completions_only():
        trainer = make_trainer(job, Dataset.from_file(str(prepared_rows(job))), tokenizer, [])
        ours, _ = processor_time(trainer.train)
    turns = pairs.select(
        *(pl.concat_list(pl.struct(role=pl.lit(role), content=column)).alias(column) for column, role in ROLES.items())
    )
    plain_settings = DPOConfig(
        str(folder / "plain"),
        use_cpu=True,
        report_to="none",
        bf16=precision == "bf16",
        disable_tqdm=True,
        save_strategy="no",
        num_train_epochs=1,
    )
    plain_trainer = DPOTrainer(
        model, args=plain_settings, train_dataset=Dataset.from_list(turns.to_dicts()), processing_class=tokenizer
    )
    plain, _ = processor_time(plain_trainer.train)
    prepared = Dataset.from_file(str(prepared_rows(job)))
    tokens = sum(2 * len(row["prompt_ids"]) + len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in prepared)
    # Six operations a weight and token in training, and two in the pass of the reference (Kaplan et al., 2001.08361).
    share = 8 * 134.5e6 * tokens / ours / 1e9 / peak
    return [
        f"DPO, {8 * updates} pairs, {tokens:,} tokens, {precision}",
        *ratio(ours / tokens, plain / tokens),
        f"{share:.0%}",
    ]


ROLES = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}


def compare_generation(folder: Path, precision: Precision) -> list[str]:
    """Return the row of generation: processor time of a token, prompts included in the time and not in the count."""
    import torch

    from seas_data.models.protocol import Sampling
    from seas_data.models.transformers_backend import open_backend
    from seas_data.recipe import ModelInProcess

    lines = (CHECKOUT / "pipelines" / "smollm2" / "attacks.jsonl").read_text(encoding="utf-8").splitlines()[:16]
    requests = pl.DataFrame(
        {
            "request_id": [f"{number:02}" for number in range(len(lines))],
            "messages": [[{"role": "user", "content": json.loads(line)["prompt"]}] for line in lines],
        }
    )
    sampling = Sampling(max_new_tokens=64)
    with open_backend("T0", ModelInProcess(model="smollm2-135m-instruct", device="cpu", precision=precision)) as model:
        ours, answers = processor_time(lambda: model.generate(requests, sampling, 4, folder / "answers", "answers"))
        texts = [
            model.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            for turns in requests["messages"].to_list()
            for _ in range(4)
        ]
        model.tokenizer.padding_side = "left"
        batch = model.tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=False)
        torch.manual_seed(0)

        def generate() -> Any:
            with torch.inference_mode():
                return model.model.generate(
                    **batch, do_sample=True, temperature=0.8, top_p=0.9, top_k=0, max_new_tokens=64,
                    eos_token_id=model.end_ids, pad_token_id=model.tokenizer.pad_token_id,
                )  # fmt: skip

        plain, written = processor_time(generate)
        ended = torch.isin(written[:, batch["input_ids"].shape[1] :], torch.tensor(model.end_ids)).cumsum(1) > 0
    own_tokens, plain_tokens = int(answers["tokens"].sum()), int((~ended).sum())
    return [
        f"generation, 64 answers, {own_tokens:,} tokens, {precision}",
        *ratio(ours / own_tokens, plain / plain_tokens),
        "",
    ]


def ratio(ours: float, plain: float) -> list[str]:
    """Return both in milliseconds, and how many times as fast ours is."""
    return [f"{1000 * ours:.1f}", f"{1000 * plain:.1f}", f"{plain / ours:.2f}"]


def processor_time(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor seconds of ``work``, all threads together, and its result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
