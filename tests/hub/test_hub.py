"""The local Hub itself, through the clients that it is made for: as they are, in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import quick
from tests.hub import Fault, Hub

ROUND = """
import json, sys
from pathlib import Path
import datasets, huggingface_hub as hf, polars as pl
folder = Path(sys.argv[1])
api = hf.HfApi()
api.create_repo("org/set", repo_type="dataset", private=True)
frame = pl.DataFrame({"number": range(1000), "word": ["door"] * 1000})
frame.write_parquet(folder / "train-0.parquet")
card = "---\\nconfigs:\\n- config_name: words\\n  data_files: data/train-*.parquet\\n---\\n# Words\\n"
place = "data/train-0.parquet"
files = [hf.CommitOperationAdd("README.md", card.encode()), hf.CommitOperationAdd(place, folder / "train-0.parquet")]
commit = api.create_commit("org/set", files, commit_message="words", repo_type="dataset").oid
api.create_tag("org/set", tag="1.0.0", revision=commit, repo_type="dataset")
api.create_commit("org/set", [hf.CommitOperationDelete(place)], commit_message="none", repo_type="dataset")
read = datasets.load_dataset("org/set", "words", revision="1.0.0", split="train")
got = hf.snapshot_download("org/set", repo_type="dataset", revision="1.0.0", local_dir=folder / "got")
filesystem = hf.HfFileSystem()
with filesystem.open("datasets/org/set@1.0.0/data/train-0.parquet") as file:
    file.seek(-4, 2)
    end = file.read()
print(json.dumps({
    "rows": read.num_rows, "equal": pl.DataFrame(read.to_dict()).equals(frame), "end": end.decode(),
    "same": Path(got, "data/train-0.parquet").read_bytes() == (folder / "train-0.parquet").read_bytes(),
    "commits": [each.title for each in api.list_repo_commits("org/set", repo_type="dataset")],
    "now": sorted(api.list_repo_files("org/set", repo_type="dataset")),
}))
"""


def run(hub: Hub, code: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | hub.environment() | {"HF_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_clients_create_commit_tag_load_and_download(tmp_path: Path) -> None:
    with Hub() as hub:
        ended = run(hub, ROUND, str(tmp_path), home=tmp_path / "home")
        assert ended.returncode == 0, ended.stderr
        told = json.loads(ended.stdout.splitlines()[-1])
        assert told == {
            "rows": 1000,
            "equal": True,
            "end": "PAR1",
            "same": True,
            "commits": ["none", "words", "initial commit"],
            "now": [".gitattributes", "README.md"],
        }
        repository = hub.repository("datasets", "org/set")
        assert repository.private
        assert repository.sent("data", "1.0.0")["data/train-0.parquet"] == len(
            repository.content("data/train-0.parquet", "1.0.0")
        )
        assert not [each for each in hub.asked("GET", "^/store/") if each.user], "the token left the Hub"


ASK = """
import sys, huggingface_hub as hf
try:
    hf.HfApi().list_repo_files("org/set", repo_type="dataset")
    hf.hf_hub_download("org/set", "README.md", repo_type="dataset")
    print("read")
except Exception as problem:
    print(type(problem).__name__)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "private", "gated", "outcome"),
    quick(
        2,
        [
            ("owner", True, "manual", "read"),
            ("reader", True, False, "RepositoryNotFoundError"),
            ("reader", False, "manual", "GatedRepoError"),
            ("reader", False, False, "read"),
            ("nobody", False, False, "HfHubHTTPError"),
        ],
    ),
)
def test_who_may_read_what(token: str, private: bool, gated: str | bool, outcome: str, tmp_path: Path) -> None:
    from tests.hub import Repository

    with Hub() as hub:
        held = Repository("datasets", "org/set", private=private, gated=gated)
        held.commit("main", "words", "", "owner", files={"README.md": b"# Words"})
        hub.repositories["datasets", "org/set"] = held
        given = {"owner": hub.owner, "reader": hub.reader, "nobody": "hf_" + "n" * 34}[token]
        hub.owner = given  # what its environment hands out
        ended = run(hub, ASK, home=tmp_path / "home")
        assert ended.stdout.split()[-1] == outcome, ended.stderr


def test_faults_occur_the_given_number_of_times(tmp_path: Path) -> None:
    fault = Fault("GET", "/api/", status=503, times=2, skip=1)
    assert [fault.strikes("GET", "/api/x") for _ in range(5)] == [False, True, True, False, False]
    assert not fault.strikes("POST", "/api/x")
