"""A model folder is whole or not there; a killed training ends in the weights of an undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from accelerate.commands.config.config_args import load_config_from_file

from seas_data.errors import SeasDataError
from seas_data.recipe import TrainingDpo, TrainingSft
from seas_data.train import NotEnoughPairsError, dpo, job, sft
from seas_data.train.job import Job, launch_command
from tests.train.conftest import preference, supervised, weights

COMMAND = [sys.executable, "-m", "seas_data.train"]


def write_job(folder: Path, table: pl.DataFrame, **fields: object) -> Path:
    table.write_parquet(folder / "rows.parquet")
    (folder / "job.json").write_text(json.dumps({"rows": str(folder / "rows.parquet"), **fields}, default=str))
    return folder / "job.json"


def run(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, str(path)], capture_output=True, text=True, timeout=300)


def kill_after(path: Path, checkpoints: Path, count: int) -> None:
    """Start the job at ``path`` and kill it once ``count`` checkpoints were made."""
    process = subprocess.Popen([*COMMAND, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline, seen = time.monotonic() + 300, set()
    while len(seen) < count:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        seen |= set(checkpoints.glob("checkpoint-*/whole"))
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def undisturbed_and_resumed(
    method: str, base: Path, table: pl.DataFrame, settings: TrainingSft | TrainingDpo, folder: Path
) -> tuple[Path, Path]:
    """Return what a training makes, and what the same one makes that is killed in its midst and asked for again."""
    whole, killed = folder / "whole", folder / "killed" / "whole"
    train = {"sft": sft, "dpo": dpo}[method]
    train(base, table, settings, whole)  # type: ignore[operator]
    killed.parent.mkdir()
    path = write_job(killed.parent, table, method=method, model=base, output=killed, settings=settings.model_dump())
    work = killed.with_name(".training-whole")
    kill_after(path, work / "checkpoints", 2)
    assert not killed.exists()
    # What a kill in the midst of writing would leave: newer, and not whole.
    (work / "checkpoints/checkpoint-9999").mkdir()
    (work / "checkpoints/checkpoint-9999/model.safetensors").write_bytes(b"half")
    started = sorted(path.name for path in work.glob("checkpoints/checkpoint-*/whole"))
    assert started
    train(base, table, settings, killed)  # type: ignore[operator]
    assert not work.exists()
    return whole, killed


def check_equal(one: Path, other: Path) -> None:
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes(), path.name


@pytest.mark.slow
def test_a_killed_preference_training_ends_in_the_same_weights_and_figures(
    base: Path, pairs: pl.DataFrame, tmp_path: Path
) -> None:
    settings = preference(epochs=12, save_steps=2, precompute_ref_log_probs=True, loss_type=["sigmoid", "sft"])
    check_equal(*undisturbed_and_resumed("dpo", base, pairs, settings, tmp_path))


@pytest.mark.slow
def test_a_killed_fine_tuning_ends_in_the_same_weights_and_figures(
    base: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    settings = supervised(epochs=12.5, save_steps=2, per_device_batch_size=4, warmup_steps=0.1, lr_scheduler="cosine")
    check_equal(*undisturbed_and_resumed("sft", base, rows, settings, tmp_path))


@pytest.mark.slow
def test_killed_adapters_end_in_the_same_weights_and_figures(base: Path, pairs: pl.DataFrame, tmp_path: Path) -> None:
    settings = preference(epochs=12, save_steps=2, lora={"rank": 2, "dropout": 0.1})
    check_equal(*undisturbed_and_resumed("dpo", base, pairs, settings, tmp_path))


@pytest.mark.slow
def test_a_kill_between_the_last_update_and_the_model_changes_nothing(
    base: Path, pairs: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = preference(epochs=1.5, save_steps=2)
    dpo(base, pairs, settings, tmp_path / "whole")
    monkeypatch.setattr("seas_data.train.fit._write_model", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        dpo(base, pairs, settings, tmp_path / "late" / "whole")
    monkeypatch.undo()
    assert not (tmp_path / "late" / "whole").exists()
    assert (tmp_path / "late/.training-whole/checkpoints/checkpoint-4/whole").exists()
    dpo(base, pairs, settings, tmp_path / "late" / "whole")
    check_equal(tmp_path / "whole", tmp_path / "late" / "whole")


@pytest.mark.slow
def test_a_finished_training_is_not_done_again(
    base: Path, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = sft(base, rows, supervised(epochs=1), tmp_path / "T0")
    monkeypatch.setattr("seas_data.train.fit.fit", lambda *_: pytest.fail("it trained again"))
    again = sft(base, rows, supervised(epochs=1), tmp_path / "T0")
    assert again.equals(figures)


@pytest.mark.slow
def test_another_training_does_not_take_a_models_place(base: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    sft(base, rows, supervised(epochs=1), tmp_path / "T0")
    before = weights(tmp_path / "T0")
    with pytest.raises(SeasDataError, match="another training"):
        sft(base, rows.head(16), supervised(epochs=1), tmp_path / "T0")
    with pytest.raises(SeasDataError, match="another training"):
        sft(base, rows, supervised(epochs=1, seed=7), tmp_path / "T0")
    (tmp_path / "mine").mkdir()
    with pytest.raises(SeasDataError, match="not a finished training"):
        sft(base, rows, supervised(epochs=1), tmp_path / "mine")
    assert weights(tmp_path / "T0") == before


@pytest.mark.slow
def test_in_a_loop_it_takes_its_place_and_the_same_one_does_not(
    base: Path, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sft(base, rows, supervised(epochs=1), tmp_path / "T0")
    before = weights(tmp_path / "T0")
    (tmp_path / "T0" / "left").touch()
    sft(base, rows, supervised(epochs=1, seed=7), tmp_path / "T0", replace=True)
    assert weights(tmp_path / "T0") != before
    assert not (tmp_path / "T0" / "left").exists()
    monkeypatch.setattr("seas_data.train.fit.fit", lambda *_: pytest.fail("it trained again"))
    sft(base, rows, supervised(epochs=1, seed=7), tmp_path / "T0", replace=True)


def test_what_another_training_left_is_not_gone_on_with(base: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    first = Job(method="sft", model=str(base), settings=supervised(epochs=1), output=tmp_path / "T0")
    assert job.prepare(first, rows)
    (first.work / "checkpoints").mkdir()
    assert job.prepare(first, rows)
    assert (first.work / "checkpoints").exists(), "the same job goes on"
    assert job.prepare(first, rows.head(16))
    assert not (first.work / "checkpoints").exists(), "other rows are another job"
    (first.work / "checkpoints").mkdir()
    changed = tmp_path / "base"
    shutil.copytree(base, changed)
    other = first.model_copy(update={"model": str(changed)})
    assert job.prepare(other, rows.head(16))
    assert (first.work / "checkpoints").exists(), "the same model in another place is the same"
    (changed / "config.json").write_text((changed / "config.json").read_text() + " ")
    assert job.prepare(other, rows.head(16))
    assert not (first.work / "checkpoints").exists(), "another model is another job"


@pytest.mark.slow
def test_rows_that_are_left_out_are_told(
    base: Path, rows: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = sft(base, rows, supervised(epochs=1, max_length=12), tmp_path / "T0")
    assert "8 rows left out" in capsys.readouterr().err
    assert figures.filter(pl.col("name") == "training/too_long")["value"].to_list() == [8]


def test_a_failure_leaves_no_model(base: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughPairsError):
        sft(base, rows.head(3), supervised(), tmp_path / "T0")
    with pytest.raises(SeasDataError, match="per_device_batch_size"):
        sft(base, rows, supervised(per_device_batch_size=5), tmp_path / "T0")
    assert not (tmp_path / "T0").exists()


@pytest.mark.parametrize("name", ["ddp", "fsdp2", "zero3"])
def test_accelerate_reads_the_configurations(name: str, tmp_path: Path) -> None:
    settings = supervised(accelerate_config=name, num_processes=4)
    command = launch_command(Job(method="sft", model="m", settings=settings, output=tmp_path / "T0"))
    assert command[-3:] == ["-m", "seas_data.train", str(tmp_path / ".training-T0")]
    assert command[command.index("--num_processes") + 1] == "4"
    read = load_config_from_file(command[command.index("--config_file") + 1])
    kind = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}[name]
    assert read.distributed_type.value == kind
    assert read.num_processes == 8
    if name == "fsdp2":
        assert read.fsdp_config["fsdp_version"] == 2
    if name == "zero3":
        assert read.deepspeed_config["zero_stage"] == 3


def test_accelerate_launches_with_the_configuration() -> None:
    """Its launcher's own parser and checks take the file, down to the environment that the processes get."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    file = str(job.CONFIGURATIONS / "fsdp2.yaml")
    arguments = launch_command_parser().parse_args(["--config_file", file, "--num_processes", "2", "-m", "x"])
    arguments, _, _ = _validate_launch_command(arguments)
    environment = prepare_multi_gpu_env(arguments)
    assert environment["FSDP_VERSION"] == "2"
    assert environment["ACCELERATE_MIXED_PRECISION"] == "bf16"


def test_an_unknown_configuration_is_named(base: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match="fsdp3 does not exist; use ddp, fsdp2, zero3"):
        sft(base, rows, supervised(accelerate_config="fsdp3"), tmp_path / "T0")


@pytest.mark.slow
def test_a_launcher_does_the_job(base: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    configuration = tmp_path / "here.yaml"
    configuration.write_text(
        "compute_environment: LOCAL_MACHINE\ndistributed_type: 'NO'\nmixed_precision: 'no'\nnum_processes: 1\n"
        "num_machines: 1\nmachine_rank: 0\nuse_cpu: true\ndebug: false\nmain_training_function: main\n"
    )
    settings = supervised(epochs=1, accelerate_config=str(configuration))
    figures = sft(base, rows, settings, tmp_path / "launched")
    here = sft(base, rows, supervised(epochs=1), tmp_path / "here")
    assert figures.equals(here)
    assert weights(tmp_path / "launched") == weights(tmp_path / "here")


@pytest.mark.slow
def test_two_processes_make_one_model(base: Path, pairs: pl.DataFrame, tmp_path: Path) -> None:
    """Over gloo on this machine's processor: each takes half of every batch, and one writes."""
    settings = preference(precompute_ref_log_probs=True)
    path = write_job(tmp_path, pairs, method="dpo", model=base, output=tmp_path / "two", settings=settings.model_dump())
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *COMMAND[1:], str(path)]
    process = subprocess.run(
        launcher, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert process.returncode == 0, process.stderr
    dpo(base, pairs, settings, tmp_path / "one")
    two, one = (
        pl.DataFrame(json.loads((tmp_path / name / "training.json").read_text())["figures"]) for name in ("two", "one")
    )
    assert two.select("name", "n", "facets").equals(one.select("name", "n", "facets"))
    margin = pl.col("name") == "training/reward_margin"
    assert two.filter(margin)["value"].to_list() == pytest.approx(one.filter(margin)["value"].to_list(), rel=0.02)
    assert not (tmp_path / ".training-two").exists()


@pytest.mark.slow
def test_a_job_that_cannot_be_done_is_one_sentence(base: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    fields = {"method": "sft", "model": base, "output": tmp_path / "T0", "settings": supervised().model_dump()}
    process = run(write_job(tmp_path, rows.head(2), **fields))
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: there are 2 training rows")
    assert "Traceback" not in process.stderr


def test_a_job_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"method": "sft"}')
    with pytest.raises(SeasDataError, match="is not a valid training job"):
        job.load_job(tmp_path / "job.json")


def test_a_job_reads_back_as_it_was(base: Path, pairs: pl.DataFrame, tmp_path: Path) -> None:
    one = Job(
        method="dpo",
        model=str(base),
        settings=preference(beta=0.3, lora={"rank": 2}),
        output=tmp_path / "T1",
        reference=str(base),
        facets={"role": "red", "iteration": 2},
    )
    job.prepare(one, pairs)
    assert job.load_job(one.work) == one
