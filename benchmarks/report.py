"""Time the report and the map at the paper's scale for three iterations, on generated rows.

    python benchmarks/report.py [--workspace DIR] [--prompts 20000] [--seeds 5000] [--explore]

15,000 seeds, 75,000 attacks on them, 375,000 responses, each judged by two judges, and 20,000 prompts before the loop;
``tests/made.py`` writes them (a minute) unless the folder exists. The command runs in a separate process, as a user
runs it, so its peak memory includes imports. Processor seconds are the sum over all threads; on a shared machine they
are more reliable than wall-clock seconds. The last column is the time until a headless Chromium, if installed, has
drawn every chart. The script exits with an error if the report misses an aim: 20 s, 2 GB, 6 MB.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.made import generate

SECONDS, MEMORY, SIZE = 20, 2_000, 6  # the aims for the report; MB
PROGRAM = [sys.executable, "-m", "seas_data"]
CHROMIUM = Path("/usr/bin/chromium")


def command(*arguments: object) -> tuple[float, float, float]:
    """Run a command; return its seconds, processor seconds and peak memory in MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run([*PROGRAM, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used, after.ru_maxrss / 1024


def drawn(path: Path) -> float | None:
    """Return the seconds until a browser has drawn every chart, or None without a browser."""
    if not CHROMIUM.exists():
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        page = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"]).new_page()
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached", timeout=600_000)
        return float(page.evaluate("performance.now()")) / 1000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--workspace", type=Path)
    options.add_argument("--prompts", type=int, default=20_000)
    options.add_argument("--seeds", type=int, default=5_000)
    options.add_argument("--explore", action="store_true", help="Also time `explore`, which takes minutes.")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = chosen.workspace or Path(temporary) / "made"
        generate(root, prompts=chosen.prompts, seeds=chosen.seeds)
        print(f"{'command':<22}{'seconds':>9}{'processor':>11}{'peak MB':>9}{'file MB':>9}{'drawn after s':>15}")
        missed = ""
        for name, more in (("report", ()), ("report --with-text", ("--with-text",))):
            path = Path(temporary) / "report.html"
            seconds, used, peak = command("report", "--workspace", root, "-o", path, *more)
            shown = drawn(path)
            size = path.stat().st_size / 1e6
            if name == "report" and (seconds > SECONDS or peak > MEMORY or size > SIZE):
                missed = f"the report takes {seconds:.1f} s, {peak:.0f} MB and {size:.2f} MB on disk"
            print(
                f"{name:<22}{seconds:>9.1f}{used:>11.1f}{peak:>9.0f}{size:>9.2f}{shown or float('nan'):>15.1f}",
                flush=True,
            )
        if chosen.explore:
            path = Path(temporary) / "map"
            seconds, used, peak = command("explore", "--workspace", root, "-o", path)
            size = sum(each.stat().st_size for each in path.iterdir()) / 1e6
            print(f"{'explore':<22}{seconds:>9.1f}{used:>11.1f}{peak:>9.0f}{size:>9.2f}{'':>15}")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    if missed:
        raise SystemExit(f"{missed}; the aims are {SECONDS} s, {MEMORY} MB and {SIZE} MB")


if __name__ == "__main__":
    main()
