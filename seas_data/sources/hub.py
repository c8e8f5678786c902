"""Data sets of the Hugging Face Hub, always at one commit.

A source names a file of the repository, which is fetched and read like a local one (each bad row set aside with its
line), or a config and split, which `datasets` puts together. Files are the safer choice where the card names no splits:
`datasets` then guesses them from file names, and takes every file for `train` when it finds no lower-case `train` or
`test` in them. A commit may be abbreviated as the Hub's pages show it; it is looked up in the history.
"""

from pathlib import Path
from typing import Any

from seas_data.errors import SeasDataError
from seas_data.recipe import Source


def fetch(source: Source) -> Path:
    """Return the local copy of the source's file, fetched if the cache lacks it. Raises SeasDataError if it cannot."""
    from huggingface_hub import hf_hub_download

    repository, revision = _pinned(source)
    try:
        return Path(hf_hub_download(repository, str(source.file), repo_type="dataset", revision=revision))
    except Exception as problem:  # the client raises its own, httpx's and the system's
        raise _unreachable(source, problem) from problem


def load(source: Source) -> Any:
    """Return the source's `datasets.Dataset`, or `DatasetDict` where no split is named."""
    import datasets

    repository, revision = _pinned(source)
    try:
        return datasets.load_dataset(repository, source.config, split=source.split, revision=revision)
    except Exception as problem:  # the library raises its own, the client's and whatever its builders do
        raise _unreachable(source, problem) from problem


def _pinned(source: Source) -> tuple[str, str]:
    """Return the repository and the full commit."""
    repository, revision = str(source.hub), str(source.revision)
    if len(revision) == 40:
        return repository, revision
    from huggingface_hub import HfApi

    try:
        history = [commit.commit_id for commit in HfApi().list_repo_commits(repository, repo_type="dataset")]
    except Exception as problem:  # as in fetch
        raise _unreachable(source, problem) from problem
    matching = [commit for commit in history if commit.startswith(revision)]
    if len(matching) != 1:
        raise SeasDataError(
            f"{len(matching)} commits of {repository} begin with {revision}; set revision to one of its "
            f"{len(history)} commits (the newest is {history[0] if history else 'unknown'})"
        )
    return repository, matching[0]


def _unreachable(source: Source, problem: Exception) -> SeasDataError:
    said = " ".join(str(problem).split())[:200] or type(problem).__name__
    what = f"{source.hub}/{source.file}" if source.file else source.hub
    return SeasDataError(
        f"{what} at {source.revision} cannot be had from the Hub ({said}); check the name, your access and the "
        "connection, or download it and give its path in place of hub"
    )
