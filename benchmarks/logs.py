"""Time and peak memory of reading a large log of a red-team tool into prompts, answers and verdicts.

    python benchmarks/logs.py [--log garak|inspect_ai] [--gigabytes 1] [--samples 100000]

The garak report has attempts with five answers of a thousand characters and two detectors, each attempt written twice
as garak does. The inspect_ai log is a ``.eval`` archive. Both hold made-up sentences. The script exits with an error if
the peak memory of the process is over 2 GB.
"""

import argparse
import json
import random
import resource
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
        archive.writestr("header.json", json.dumps({"version": 2, "eval": {"model": "made/mild"}}))
        for number in range(samples):
            text, answer = f"Request {number}: {sentence(numbers, 200)}", sentence(numbers, 1_000)
            turns = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
            sample = {
                **{"id": number, "epoch": 1, "input": text, "target": "", "messages": turns},
                **{"output": {"choices": [{"message": turns[1], "stop_reason": "stop"}]}, "metadata": {}},
                **{"scores": {"made": {"value": "C" if number % 2 else "I"}}},
            }
            archive.writestr(f"samples/{number}_epoch_1.json", json.dumps(sample))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", choices=["garak", "inspect_ai"], default="garak")
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--samples", type=int, default=100_000)
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
            f"{seconds:.1f} s ({processor:.1f} processor seconds), peak {peak:,.0f} MB ({written:,.0f} MB before)"
        )
    if peak > AIM:
        sys.exit(f"the peak is over {AIM:,} MB")


if __name__ == "__main__":
    main()
