"""Time and peak memory of reading a large log of a red-team tool into prompts, answers and verdicts.

    python benchmarks/logs.py [--log garak|inspect_ai] [--gigabytes 1] [--samples 100000] [--tools FOLDER]

The garak report has attempts with five answers of a thousand characters and two detectors, each attempt written twice
as garak does. The inspect_ai log is a ``.eval`` archive. Both hold made-up sentences. The script exits with an error if
the peak memory of the process is over 2 GB.

With ``--tools``, the tool's own loader then reads the same file, in a process of its own: ``Report.load`` of garak
(`FOLDER/garak/bin/python`) or ``read_eval_log`` of inspect_ai (`FOLDER/inspect/bin/python`).
It gives the tool's objects; ours also gives each text an id and its form for comparison. Processor seconds
leave out the import of the tool; on a shared machine they are more reliable than wall-clock seconds.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from seas_data.recipe import Source
from seas_data.sources import read_source

AIM = 2_000  # megabytes
WORDS = tuple(f"word{number}" for number in range(500))
GENERATIONS = 5
LOADERS = {
    "garak": {"Report.load": "from garak.report import Report; load = lambda: len(Report(path).load().records)"},
    "inspect_ai": {
        "read_eval_log": "from inspect_ai.log import read_eval_log; load = lambda: len(read_eval_log(path).samples)"
    },
}
MEASURE = """
import re, sys, time
path = sys.argv[1]
{loader}
start = time.perf_counter(), time.process_time()
rows = load()
spent = time.perf_counter() - start[0], time.process_time() - start[1]
peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024
print(f"{{rows:,}} records in {{spent[0]:.1f}} s ({{spent[1]:.1f}} processor seconds), peak {{peak:,.0f}} MB")
"""


def sentence(numbers: random.Random, characters: int) -> str:
    return " ".join(numbers.choices(WORDS, k=characters // 7))


def message(text: str) -> dict[str, object]:
    return {"text": text, "lang": "en", "data_path": None, "data_type": None, "data_checksum": None, "notes": {}}


def write_garak(path: Path, gigabytes: float) -> None:
    """Write a report of the given size."""
    numbers, size, number = random.Random(0), 0, 0
    with path.open("w") as file:
        file.write('{"entry_type": "start_run setup", "plugins.target_name": "mild"}\n')
        while size < gigabytes * 1e9:
            prompt = message(f"Request {number}: {sentence(numbers, 200)}")
            turn = {"role": "user", "content": prompt}
            outputs = [message(sentence(numbers, 1_000)) for _ in range(GENERATIONS)]
            conversations = [{"turns": [turn, {"role": "assistant", "content": each}]} for each in outputs]
            attempt = {
                **{"entry_type": "attempt", "uuid": f"attempt-{number}", "seq": number, "status": 1},
                **{"probe_classname": "made.Up", "prompt": {"turns": [turn]}, "outputs": outputs},
                **{"conversations": conversations, "detector_results": {}},
            }
            size += file.write(json.dumps(attempt) + "\n")
            scores = {name: [float(at % 2) for at in range(GENERATIONS)] for name in ("made.One", "made.Two")}
            size += file.write(json.dumps(attempt | {"status": 2, "detector_results": scores}) + "\n")
            number += 1


def write_inspect(path: Path, samples: int) -> None:
    """Write a log with the given number of samples."""
    numbers = random.Random(0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        dataset = {"name": "made", "samples": samples, "sample_ids": list(range(samples))}
        about = {"created": "2026-01-01T00:00:00+00:00", "task": "made", "model": "made/mild", "config": {"epochs": 1}}
        header = {"version": 2, "status": "success", "eval": {**about, "dataset": dataset}}
        archive.writestr("header.json", json.dumps(header))
        for number in range(samples):
            text, answer = f"Request {number}: {sentence(numbers, 200)}", sentence(numbers, 1_000)
            turns = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
            choice = {"message": turns[1], "stop_reason": "stop"}
            sample = {
                **{"id": number, "epoch": 1, "input": text, "target": "", "messages": turns},
                **{"output": {"model": "made/mild", "choices": [choice]}, "metadata": {}},
                **{"scores": {"made": {"value": "C" if number % 2 else "I"}}},
            }
            archive.writestr(f"samples/{number}_epoch_1.json", json.dumps(sample))


def load_with_tool(log: str, path: Path, tools: Path) -> None:
    """Print the time and memory of each of the tool's own loaders."""
    python = tools / ("garak" if log == "garak" else "inspect") / "bin" / "python"
    for name, loader in LOADERS[log].items():
        command = [str(python), "-c", MEASURE.format(loader=loader), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        last = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()[-1:]
        print(f"{name}: {last[0] if last else f'ended with {done.returncode}'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", choices=["garak", "inspect_ai"], default="garak")
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--tools", type=Path, help="Folder with the environments of the tools.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("run.report.jsonl" if options.log == "garak" else "run.eval")
        if options.log == "garak":
            write_garak(path, options.gigabytes)
        else:
            write_inspect(path, options.samples)
        said = {"unsafe_values": {"made": ["C"]}} if options.log == "inspect_ai" else {}
        source = Source.model_validate({"log": options.log, "path": str(path), "language": "en", "log_options": said})
        written = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        started, used = time.perf_counter(), time.process_time()
        found = read_source("run", source)
        seconds, processor = time.perf_counter() - started, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows = (found.prompts.height, found.answers.responses.height, found.answers.verdicts.height)
        print(
            f"{path.stat().st_size / 1e9:.2f} GB: {rows[0]:,} prompts, {rows[1]:,} answers, {rows[2]:,} verdicts in "
            f"{seconds:.1f} s ({processor:.1f} processor seconds), peak {peak:,.0f} MB ({written:,.0f} MB before)",
            flush=True,
        )
        if options.tools:
            load_with_tool(options.log, path, options.tools)
    if peak > AIM:
        sys.exit(f"the peak is over {AIM:,} MB")


if __name__ == "__main__":
    main()
