import hashlib
import shutil
from pathlib import Path

import pytest

from seas_data.errors import SeasDataError
from seas_data.models import checkpoint, model_folder
from seas_data.store.files import sha256


def test_the_digest_covers_weights_settings_and_template_only(tiny: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny, tmp_path / "copy")
    digest = checkpoint.compute_digest(tiny)
    assert checkpoint.compute_digest(copy) == digest

    for name in ("optimizer.pt", "trainer_state.json", "README.md"):
        (copy / name).write_text("x")
    (copy / "checkpoint-10").mkdir()
    (copy / "checkpoint-10" / "model.safetensors").write_text("x")
    assert checkpoint.compute_digest(copy) == digest

    seen = {digest}
    for name in ("model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"):
        with (copy / name).open("ab") as file:
            file.write(b" ")
        seen.add(checkpoint.compute_digest(copy))
    assert len(seen) == 6


def test_the_digest_of_weights_in_the_hubs_cache_is_their_name(tiny: Path, tmp_path: Path) -> None:
    cached = shutil.copytree(tiny, tmp_path / "snapshot")
    weights = cached / "model.safetensors"
    content = weights.read_bytes()
    blob = tmp_path / hashlib.sha256(content).hexdigest()
    weights.rename(blob)
    weights.symlink_to(blob)
    assert checkpoint.compute_digest(cached) == checkpoint.compute_digest(tiny)
    blob.write_bytes(b"not read")
    assert checkpoint.compute_digest(cached) == checkpoint.compute_digest(tiny)


def test_a_folder_without_a_checkpoint_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match=r"no config\.json"):
        checkpoint.compute_digest(tmp_path)
    with pytest.raises(SeasDataError, match="no model at"):
        model_folder.resolve_folder(str(tmp_path / "missing"), None)


def test_a_file_is_hashed_once_unless_it_changes(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Path(shutil.copytree(tiny, tmp_path / "copy"))
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return sha256(path)

    monkeypatch.setattr(checkpoint, "sha256", counted)
    first = checkpoint.compute_digest(copy)
    assert checkpoint.compute_digest(copy) == first
    assert len(read) == len(set(read)) > 1
    (copy / "config.json").write_text("{}")
    assert checkpoint.compute_digest(copy) != first
    assert read[-1] == copy / "config.json"
