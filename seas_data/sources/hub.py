"""Datasets of the Hugging Face Hub, pinned to a commit.

A source names either a file of the repository, which is downloaded and read like a local one (each bad row is set aside
with its line), or a config and split, which `datasets` loads. Prefer files where the dataset card names no splits:
`datasets` then infers the splits from file names, and reads every file as `train` if no name contains a lower-case
`train` or `test`. A commit may be abbreviated as on the Hub's pages; it is looked up in the history.
"""

from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.hub_token import check_hub_token
from seas_data.recipe import Source
from seas_data.sources.datasets_folder import raw_from_dataset
from seas_data.sources.formats import HUB, SourceFormat
from seas_data.sources.raw_rows import RawRows


def download_file(source: Source) -> Path:
    """Return the local copy of the source's file. Download it if it is not cached.

    Raises SeasDataError if the file could not be downloaded.
    """
    from huggingface_hub import hf_hub_download

    repository, revision = _full_revision(source)
    try:
        return Path(hf_hub_download(repository, str(source.file), repo_type="dataset", revision=revision))
    except Exception as problem:  # errors of the client, of httpx and of the system
        raise _download_error(source, problem) from problem


def read_hub(path: Path, source: Source) -> RawRows:
    """Load the config and split of the Hub dataset that the source names. ``path`` is the name of the dataset.

    Raises SeasDataError if the dataset could not be downloaded, or the source names no split and there are several.
    """
    import datasets

    repository, revision = _full_revision(source)
    if Path(repository).exists():
        raise SeasDataError(
            f"there is a folder {repository} here, which would be read in place of the dataset on the Hub; run the "
            "command in another folder"
        )
    try:
        dataset = datasets.load_dataset(repository, source.config, split=source.split, revision=revision)
    except Exception as problem:  # errors of the library, of the client and of any dataset builder
        raise _download_error(source, problem) from problem
    return raw_from_dataset(dataset, source, path.as_posix())


def _full_revision(source: Source) -> tuple[str, str]:
    """Return the repository and the full commit hash."""
    check_hub_token()
    repository, revision = str(source.hub), str(source.revision)
    if len(revision) == 40:
        return repository, revision
    from huggingface_hub import HfApi

    try:
        history = [commit.commit_id for commit in HfApi().list_repo_commits(repository, repo_type="dataset")]
    except Exception as problem:  # as in download_file
        raise _download_error(source, problem) from problem
    matching = [commit for commit in history if commit.startswith(revision)]
    if len(matching) != 1:
        raise SeasDataError(
            f"{len(matching)} commits of {repository} begin with {revision}; set revision to one of its "
            f"{len(history)} commits (the newest is {history[0] if history else 'unknown'})"
        )
    return repository, matching[0]


def _download_error(source: Source, problem: Exception) -> SeasDataError:
    reason = " ".join(str(problem).split())[:200] or type(problem).__name__
    name = f"{source.hub}/{source.file}" if source.file else source.hub
    return SeasDataError(
        f"{name} at {source.revision} could not be downloaded from the Hub ({reason}); check the name, your access and "
        "the connection, or download it yourself and set path in place of hub"
    )


HUB_DATASET = SourceFormat(inputs=(HUB,), read=read_hub)
