"""Folders of parts: the same behaviour on a file system and in an object store, and clear errors."""

from pathlib import Path

import pytest

from seas_data.errors import SeasDataError
from seas_data.store.part_folder import LocalFolder, ObjectFolder, PartFolder, open_folder
from tests.s3 import s3_server


@pytest.fixture(params=["path", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> PartFolder:
    return open_folder(tmp_path / "parts" if request.param == "path" else f"memory://{tmp_path.name}/parts")


def check_folder(folder: PartFolder) -> None:
    assert folder.names() == set()
    assert folder.read("a.part", "it is computed again") is None
    assert folder.open_plain("matrix") is None
    folder.remove("a.part")
    folder.write("a.part", b"one")
    folder.write("b.part", b"")
    folder.write_plain("matrix", [memoryview(b"two "), memoryview(b"three")])
    assert folder.names() == {"a.part", "b.part", "matrix"}
    assert ("a.part" in folder, "c.part" in folder) == (True, False)
    assert folder.read("a.part", "it is computed again") == b"one"
    assert folder.read("b.part", "it is computed again") == b""
    file = folder.open_plain("matrix")
    assert file is not None
    with file:
        assert file.read() == b"two three"
        assert file.fileno() >= 0, "it can be mapped into memory"
    folder.write("a.part", b"one")
    folder.remove("a.part")
    assert "a.part" not in folder
    folder.remove_all()
    assert folder.names() == set()
    folder.remove_all()


def test_files_are_written_read_and_removed(folder: PartFolder) -> None:
    check_folder(folder)


@pytest.mark.slow
def test_files_are_written_read_and_removed_in_s3() -> None:
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs", reason="needs the s3 extra")
    with s3_server("bucket"):
        check_folder(open_folder("s3://bucket/some/prefix"))
        assert open_folder("s3://bucket/other").names() == set()
        with pytest.raises(SeasDataError, match=r"^s3://no-such-bucket/prefix could not be written"):
            open_folder("s3://no-such-bucket/prefix").write("a.part", b"one")


def test_a_damaged_or_renamed_file_is_named_and_not_read(
    folder: PartFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write("a.part", b"content")
    file = folder.open_plain("a.part")
    assert file is not None
    with file:
        stored = file.read()
    for name, content in (("a.part", stored[:-1]), ("a.part", stored[:9]), ("b.part", stored), ("c.part", b"")):
        folder.write_plain(name, [memoryview(content)])
        assert folder.read(name, "it is computed again") is None
        assert f"{folder}/{name} is damaged; it is computed again" in capsys.readouterr().err


def test_what_an_address_is() -> None:
    assert open_folder("/shared/parts") == LocalFolder(Path("/shared/parts"))
    assert open_folder("s3://bucket/prefix") == ObjectFolder("s3://bucket/prefix")


def test_a_store_that_cannot_be_opened_is_one_sentence() -> None:
    with pytest.raises(SeasDataError, match=r"^nowhere://bucket/prefix cannot be opened \(.*\); install"):
        open_folder("nowhere://bucket/prefix").names()


def test_a_store_that_fails_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ObjectFolder("memory://failing/parts")

    def fail(*arguments: object, **options: object) -> None:
        raise PermissionError("Access Denied\nrequest 7")

    for method in ("ls", "cat_file", "pipe_file", "put_file", "open", "exists", "rm"):
        monkeypatch.setattr(folder._store, method, fail)
    for use in (
        folder.names,
        folder.remove_all,
        lambda: folder.read("a", "it is computed again"),
        lambda: folder.write("a", b""),
        lambda: folder.write_plain("a", []),
        lambda: folder.open_plain("a"),
        lambda: "a" in folder,
    ):
        with pytest.raises(SeasDataError, match=r"^memory://failing/parts could not be \w+ \(Access Denied\); check"):
            use()
