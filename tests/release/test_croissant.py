"""mlcroissant finds nothing wrong with croissant.json, and reads the rows that are in the files."""

import json
import logging
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data.query import version
from seas_data.release import configs, croissant
from seas_data.release.card import queries
from seas_data.release.visibility import Profile
from seas_data.store import files

mlcroissant = pytest.importorskip("mlcroissant")


def described(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "croissant.json").read_text()))


def plain(value: Any) -> Any:
    """Return a value of a record as the frame has it: texts are bytes there, and parts have the field's whole name.

    mlcroissant reads a list of parts that is null as one part without values.
    """
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        if all(isinstance(each, dict) and set(each.values()) == {None} for each in value) and value:
            return None
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key.rsplit("/", 1)[-1]: plain(each) for key, each in value.items()}
    return value.item() if hasattr(value, "item") else value


@pytest.mark.parametrize("profile", ["public", "gated"])
@pytest.mark.slow
def test_mlcroissant_finds_nothing_wrong_and_reads_the_rows(
    profile: Profile, public: Path, gated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = {"public": public, "gated": gated}[profile]
    with caplog.at_level(logging.WARNING):
        opened = mlcroissant.Dataset(str(folder / "croissant.json"))
    issues = opened.metadata.ctx.issues
    assert not issues.errors
    # When it was published is not known before it is.
    assert [warning for warning in issues.warnings if "datePublished" not in warning] == []
    assert opened.metadata.ctx.conforms_to.value.endswith("/1.1")
    names = [config.name for config in configs.for_profile(profile)]
    assert [record_set.id for record_set in opened.metadata.record_sets] == names
    for config in configs.for_profile(profile):
        paths = sorted((folder / "data" / config.name).glob("*.parquet"))
        expected = pl.concat([pl.read_parquet(path) for path in paths])
        records = [plain(record) for record in opened.records(config.name)]
        assert len(records) == expected.height > 0
        assert pl.DataFrame(records, schema=expected.schema).equals(expected)


NOTHING: queries.Figures = {name.replace("-", "_"): [] for name in queries.CROISSANT}


@pytest.mark.slow
def test_it_tells_the_drops_that_stand_as_the_card_does(made: Path, public: Path) -> None:
    drops = queries.run_queries(version.open(made).version(), {"drop-reasons": []})["drop_reasons"]
    told = described(public)["rai:dataPreprocessingProtocol"]
    assert told == [f"{row['prompts']} prompts were dropped as {row['reason']}" for row in drops]


@pytest.mark.slow
def test_every_file_is_named_with_its_hash_and_size(public: Path) -> None:
    listed = {each["contentUrl"]: each for each in described(public)["distribution"] if "contentUrl" in each}
    data = {path.relative_to(public).as_posix() for path in public.glob("data/*/*.parquet")}
    assert listed.keys() == data | {"manifest.json"}
    for name, each in listed.items():
        assert each["sha256"] == files.sha256(public / name)
        assert each["contentSize"] == f"{(public / name).stat().st_size} B"


@pytest.mark.slow
def test_fields_are_typed_as_their_columns(gated: Path) -> None:
    types: dict[Any, str] = {pl.String: "sc:Text", pl.Int32: "cr:Int32", pl.Int64: "cr:Int64"}
    types |= {pl.Float64: "cr:Float64", pl.Float32: "cr:Float32"}
    record_sets = {each["@id"]: each for each in described(gated)["recordSet"]}
    for config in configs.for_profile("gated"):
        fields = {field["name"]: field for field in record_sets[config.name]["field"]}
        schema = configs.schema(config, "gated")
        assert list(fields) == schema.names()
        for name, kind in schema.items():
            if isinstance(kind, pl.List):
                assert fields[name]["isArray"] and fields[name]["arrayShape"] == "-1"
            elif name != "split":
                assert fields[name]["dataType"] == types[kind.base_type()]
        assert fields.get("split", {}).get("dataType", ["sc:Text", "cr:Split"]) == ["sc:Text", "cr:Split"]
        assert [key["@id"] for key in record_sets[config.name].get("key", [])] == [
            f"{config.name}/{name}" for name in config.key
        ]


@pytest.mark.slow
def test_it_says_what_responsible_use_asks_to_know(public: Path, gated: Path) -> None:
    told = described(public)
    assert "http://mlcommons.org/croissant/RAI/1.0" in told["conformsTo"]
    for name in (
        *("dataCollection", "dataCollectionRawData", "dataPreprocessingProtocol", "dataAnnotationProtocol"),
        *("machineAnnotationTools", "dataUseCases", "dataBiases", "dataLimitations", "dataSocialImpact"),
        *("personalSensitiveInformation", "dataReleaseMaintenancePlan"),
    ):
        assert told[f"rai:{name}"], name
    assert "responses" in told["rai:dataCollectionMissingData"]
    assert described(gated)["rai:dataCollectionMissingData"] == "Nothing is withheld."
    assert told["license"] and told["identifier"] == json.loads((public / "manifest.json").read_text())["digest"]


@pytest.mark.slow
def test_nothing_is_said_of_a_config_without_rows(public: Path, tmp_path: Path) -> None:
    from seas_data.store import Manifest

    manifest = Manifest.model_validate_json((public / "manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_text("{}")
    told = croissant.describe(manifest, tmp_path, [], NOTHING, ["MIT"])
    assert told["recordSet"] == []
    assert [each["@id"] for each in told["distribution"]] == ["manifest.json"]


@pytest.mark.slow
def test_hostile_names_are_only_text(public: Path, tmp_path: Path) -> None:
    from seas_data.store import Manifest

    hostile = '</script><img src=x onerror="alert(1)">"}], "@context": {"x": 1}, \u202e\x1b[31m {{ 7*7 }}'
    manifest = Manifest.model_validate_json((public / "manifest.json").read_bytes())
    changed = manifest.model_copy(update={"recipe": manifest.recipe | {"description": hostile}})
    (tmp_path / "manifest.json").write_text("{}")
    told = json.loads(json.dumps(croissant.describe(changed, tmp_path, [], NOTHING, [hostile])))
    assert told["description"] == hostile and told["license"] == [hostile]
    assert "x" not in told["@context"]
