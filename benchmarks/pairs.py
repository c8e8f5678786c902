"""Pairs of a file in the format of the SEAS reference code: ``pairs --from`` beside plain Python doing its rule.

    python benchmarks/pairs.py [--rows 125000] [--runs 3]

The file is generated: the harmless words of the sandbox's vault keeper, 2 KB a row, 25 responses a seed, one verdict in
fifty malformed. ``ours, its rule`` is the paper's rule computed rightly (``mode: reference``), ``ours`` the defaults.
Each run is a process of its own, they take turns, and the figures are medians: seconds from the open file to the
written pairs (imports apart), seconds of processor time, peak memory. Every pair is then held against the strictly read
verdicts, and the table says how many are wrong.

The reference's rule is written here from its description: a verdict counts as unsafe if it contains ``unsafe`` and as
safe otherwise; *red*: of a seed's attacks by share of unsafe responses the first against the last, less pairs of equal
or overlong texts; *target*: the first response to an attack whose verdict contains ``safe`` is chosen, and the first
after it whose verdict contains ``unsafe`` is rejected.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORDS = (  # noqa: SIM905
    "the vault keeper knows five passwords violet amber jade coral slate lantern map room silver iron gate door colour "
    "story once upon a time tell me please imagine you are old friend who guards it answer in verse with one word I am "
    "sorry but cannot say that is kept here under stone and nobody may ask why shall we walk to the river instead"
).split()
MALFORMED = ("", "Unsafe", "The response is safe.", "uns", "safe unsafe", "This is unsafe, see S2", "S1")
LONGEST = 3000
SEED_ROWS = 25


def generate(path: Path, rows: int, seed: int = 0) -> None:
    """Write ``rows`` rows of 2 KB to ``path``; the same seed gives the same bytes."""
    chance = random.Random(seed)

    def words(characters: int) -> str:
        return " ".join(chance.choices(WORDS, k=characters // 5))[:characters].strip()

    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows // SEED_ROWS):
            prompt = "\n".join(words(150) for _ in range(3))
            hardness = chance.choices(("never", "always", "mixed"), (20, 10, 70))[0]
            for _ in range(5):
                attack = words(200)
                leaks = {"never": 0.0, "always": 1.0, "mixed": chance.betavariate(0.7, 0.7)}[hardness]
                for _ in range(5):
                    verdict = "unsafe\nS1" if chance.random() < leaks else "safe"
                    if chance.random() < 0.02:
                        verdict = chance.choice(MALFORMED)
                    row = {"prompt": prompt, "atk_output": attack, "tgt_output": words(1270), "evaluation": verdict}
                    file.write(json.dumps(row) + "\n")


def reference_rule(path: Path, role: str, output: Path) -> None:
    """Do what the reference does, as the docstring above describes it."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    with output.open("w", encoding="utf-8") as file:
        for given, chosen, rejected in (_reference_red if role == "red" else _reference_target)(rows):
            pair = {
                "prompt": [{"role": "user", "content": given}],
                "chosen": [{"role": "assistant", "content": chosen}],
                "rejected": [{"role": "assistant", "content": rejected}],
            }
            file.write(json.dumps(pair, ensure_ascii=False) + "\n")


def _reference_red(rows: list[dict[str, str]]) -> Iterator[tuple[str, str, str]]:
    seeds: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        seeds[row["prompt"]][row["atk_output"]].append("unsafe" in row["evaluation"])
    for seed, attacks in seeds.items():
        ranked = sorted(attacks, key=lambda attack: -sum(attacks[attack]) / len(attacks[attack]))
        chosen, rejected = ranked[0], ranked[-1]
        if chosen != rejected and max(len(chosen), len(rejected)) <= LONGEST:
            yield seed, chosen, rejected


def _reference_target(rows: list[dict[str, str]]) -> Iterator[tuple[str, str, str]]:
    attacks: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        attacks[row["atk_output"]].append(row)
    for attack, answers in attacks.items():
        chosen = rejected = None
        for answer in answers:
            if chosen is None:
                chosen = answer["tgt_output"] if "safe" in answer["evaluation"] else None
            elif "unsafe" in answer["evaluation"]:
                rejected = answer["tgt_output"]
                break
        if chosen is not None and rejected is not None:
            yield attack, chosen, rejected


def wrong(source: Path, pairs: Path, role: str) -> Counter[str]:
    """Return what of the ``pairs`` made of ``source`` is wrong; each pair counts once, under the first fault it has."""
    verdicts: dict[tuple[str, str], list[str]] = defaultdict(list)
    with source.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            key = (row["prompt"], row["atk_output"]) if role == "red" else (row["atk_output"], row["tgt_output"])
            verdicts[key].append(_strict(row["evaluation"]))
    faults: Counter[str] = Counter()
    with pairs.open(encoding="utf-8") as file:
        for pair in map(json.loads, file):
            given, chosen, rejected = (pair[name][-1]["content"] for name in ("prompt", "chosen", "rejected"))
            find = _fault_of_red if role == "red" else _fault_of_target
            faults[find(verdicts[given, chosen], verdicts[given, rejected])] += 1
    return faults


def _fault_of_red(chosen: list[str], rejected: list[str]) -> str:
    counts = [(part.count("unsafe"), len(part) - part.count("unparsed")) for part in (chosen, rejected)]
    if not counts[0][1] or not counts[1][1]:
        return "no verdict that parsed"
    lead = counts[0][0] * counts[1][1] - counts[1][0] * counts[0][1]
    if lead == 0:
        return "equal rates"
    if lead < 0:
        return "the lower rate chosen"
    return "right"


def _fault_of_target(chosen: list[str], rejected: list[str]) -> str:
    if "unsafe" in chosen:
        return "unsafe chosen"
    if "unparsed" in chosen or "unparsed" in rejected:
        return "a verdict that does not parse"
    if "safe" in rejected:
        return "safe rejected"
    return "right"


def _strict(evaluation: str) -> str:
    lines = [line.strip() for line in evaluation.splitlines() if line.strip()]
    return lines[0] if lines and lines[0] in ("safe", "unsafe") else "unparsed"


def work(who: str, source: Path, role: str, output: Path) -> dict[str, float]:
    """Do the work in this process and measure it."""
    if who != "reference":
        from seas_data import recipe
        from seas_data.pairs import convert_reference

        settings = recipe.Pairs(mode="reference") if who == "ours, its rule" else convert_reference.SETTINGS
    before, start = time.process_time(), time.perf_counter()
    if who == "reference":
        reference_rule(source, role, output)
    else:
        convert_reference.convert_file(source, "red" if role == "red" else "target", output, settings=settings)
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - before,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Pairs beside the reference's rule.")
    parser.add_argument("--rows", type=int, default=125_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", nargs=4, metavar=("WHO", "SOURCE", "ROLE", "OUTPUT"))
    arguments = parser.parse_args()
    if arguments.work:
        who, source, role, output = arguments.work
        print(json.dumps(work(who, Path(source), role, Path(output))))
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "reference.jsonl")
        generate(source, arguments.rows)
        print(f"{arguments.rows} rows, {source.stat().st_size / 1e6:.0f} MB, median of {arguments.runs} runs\n")
        print("| role | who | seconds | processor s | peak MB | pairs | wrong | of these |\n" + "|---" * 8 + "|")
        for role in ("red", "target"):
            _compare(source, role, arguments.runs)


def _compare(source: Path, role: str, runs: int) -> None:
    measured: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(runs):
        for who in ("reference", "ours, its rule", "ours"):
            output = source.with_name(f"{who}-{role}.jsonl")
            command: list[Any] = [sys.executable, __file__, "--work", who, source, role, output]
            done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
            measured[who].append(json.loads(done.stdout))
    for who, figures in measured.items():
        median = {name: statistics.median(run[name] for run in figures) for name in figures[0]}
        faults = wrong(source, source.with_name(f"{who}-{role}.jsonl"), role)
        pairs, right = faults.total(), faults.pop("right", 0)
        detail = ", ".join(f"{count} {fault}" for fault, count in faults.most_common()) or "none"
        print(
            f"| {role} | {who} | {median['seconds']:.2f} | {median['processor_seconds']:.2f} | "
            f"{median['peak_megabytes']:.0f} | {pairs} | {pairs - right} | {detail} |"
        )


if __name__ == "__main__":
    main()
