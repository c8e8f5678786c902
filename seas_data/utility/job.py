"""Jobs of the process that runs tasks: what it is given, and where the results of each task go."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from seas_data.recipe.base import StrictModel
from seas_data.recipe.loop import Utility
from seas_data.store import files


class Job(StrictModel):
    """Tasks to run on one checkpoint."""

    name: str
    """The name of the checkpoint, such as T1."""
    model: Path
    """Its folder, absolute."""
    digest: str
    """The SHA-256 of its files."""
    settings: Utility
    results: Path
    """The folder for the results of each task, absolute."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    system: str | None = None
    """System prompt, with a chat template."""
    chat_template: str | None = None
    """Jinja text, for a checkpoint without a chat template."""

    def task_key(self, task: str, version: str, tasks_digest: str | None) -> str:
        """Return the SHA-256 of all that the result of ``task`` depends on, ``version`` being that of the harness."""
        used = self.settings.model_dump(mode="json", include={"num_fewshot", "limit", "chat_template"})
        own = self.model_dump(mode="json", include={"digest", "device", "precision", "system", "chat_template"})
        parts = {"task": task, "settings": used, "harness": version, "folder": tasks_digest, **own}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def result_path(self, key: str) -> Path:
        """Return the path of a task's results, as ``store.files.write_with_digest`` writes them."""
        return self.results / f"{key}.json"


def digest_tasks(folder: str | None) -> str | None:
    """Return the SHA-256 of the names and contents of the files in a folder of tasks; None without one."""
    if folder is None:
        return None
    total = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(folder).as_posix()} {files.sha256(path)}\n".encode())
    return total.hexdigest()


def read_result(path: Path) -> dict[str, Any] | None:
    """Return the results of a task; None if there are none or they are damaged."""
    content = files.read_verified(path, "the task is run again")
    return None if content is None else dict(json.loads(content))
