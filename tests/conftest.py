"""Fixtures that many tests share: the real prompt sets, if available, and workspaces that are built once."""

import gc
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from filelock import FileLock

gc.disable()  # until all modules are imported: see pytest_collection_finish

CHECKOUT = Path(__file__).parent.parent
EXAMPLE = CHECKOUT / "pipelines" / "example.yaml"

# A change is judged by the same examples each time; `make test-slow` draws new ones, and more (see ``examples``).
hypothesis.settings.register_profile("same", derandomize=True, max_examples=30)
hypothesis.settings.register_profile("random", print_blob=True, max_examples=500)
hypothesis.settings.load_profile("same")


def examples(count: int) -> hypothesis.settings:
    """Return the settings of a property test: ``count`` examples, five times as many in `make test-slow`.

    In `make test` they are a third, but not under five: those that are drawn are the same each time.
    """
    drawn = max(min(count, 5), count * hypothesis.settings.default.max_examples // 100)
    return hypothesis.settings(max_examples=drawn, deadline=None)


def quick(count: int, cases: Iterable[Any]) -> list[Any]:
    """Return the cases of a test of which `make test` runs the first ``count``, and `make test-slow` the others."""
    slow = pytest.mark.slow
    return [
        case if at < count else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=slow)
        for at, case in enumerate(cases)
    ]


_LONGEST = ("tests/loop/test_iteration.py", "tests/train/", "tests/release/", "tests/report/", "tests/test_cli.py")


def pytest_collection_finish() -> None:
    """Take what is there for good, modules of large libraries, out of what the garbage collector visits each time."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before those that are not asked for are left out by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, so that no process is left alone with one of them at the end.

    Tests in a browser are slow: each file of them starts one.
    """
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)

    def rank(item: pytest.Item) -> int:
        return next((at for at, start in enumerate(_LONGEST) if item.nodeid.startswith(start)), len(_LONGEST))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of the real prompt sets; the test is skipped where there is none."""
    folder = os.environ.get("SEAS_DATA_REAL")
    if folder is None:
        pytest.skip("needs the real prompt sets: set SEAS_DATA_REAL to their folder")
    return Path(folder)


def shared_workspace(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """Return the workspace ``name``, which ``build`` writes once for all processes of a test run."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    with FileLock(base / f"{name}.lock"):
        if not (base / f"{name}.built").exists():
            (base / name).mkdir()
            build(base / name / "ws")
            (base / f"{name}.built").touch()
    return base / name / "ws"


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a build of the example recipe. Tests only read it.

    Its batches of texts are small, which takes a third of the time; the last bits of vectors differ from other builds.
    """
    from seas_data import recipe
    from seas_data.run import build
    from seas_data.similarity import encoder

    def build_example(root: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(encoder, "BATCH_TOKENS", dict.fromkeys(encoder.BATCH_TOKENS, 64))
            patch.setattr(encoder, "ROW_TOKENS", 64)
            assert build(recipe.load(EXAMPLE), root).new

    return shared_workspace(tmp_path_factory, "example", build_example)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with three versions and no empty table, written without models. Tests only read it."""
    from tests import made

    return shared_workspace(tmp_path_factory, "made", lambda root: made.workspace(root))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After tests of the docs, say how many of their examples are run, and why the others are not."""
    reports = [report for each in terminalreporter.stats.values() for report in each]
    if not any(getattr(report, "nodeid", "").startswith("tests/docs/") for report in reports):
        return
    from tests.docs.blocks import read_pages

    examples = [(page, block) for page in read_pages() for block in page.examples]
    left_out = [(page, block) for page, block in examples if block.not_run is not None]
    slow = sum(page.slow for page, block in examples if block.not_run is None)
    run = len(examples) - len(left_out)
    terminalreporter.write_line(
        f"Examples in the docs: {run} run ({slow} of them in test-slow), {len(left_out)} not run"
    )
    if terminalreporter.config.get_verbosity() > 0:
        for page, block in left_out:
            terminalreporter.write_line(f"  {page.path.relative_to(CHECKOUT)}:{block.line}: {block.not_run}")
