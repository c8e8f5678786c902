"""``croissant.json``: the release in machine-readable form, in Croissant 1.1 with the responsible-AI fields (RAI 1.0).

    distribution    each file of ``data/``, and ``manifest.json``, with its SHA-256; a file set for each config
    recordSet       each config with rows, with the types and descriptions of its columns

The manifest has the SHA-256 of every shard of ``tables/``. Nothing here depends on the day or the machine. The date of
publication, the creator and the address are left out, because they are unknown before publication.

Sources: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html and croissant-rai-spec.html; the context is
from the appendix of the first.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from seas_data.release import configs, recipes
from seas_data.release.card.queries import Figures
from seas_data.release.configs import Config
from seas_data.release.visibility import Profile, parse_profile
from seas_data.store import Manifest, files

Json = dict[str, Any]

_CONFORMS = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
_TERMS = """
    arrayShape citeAs column containedIn equivalentProperty extract field fileProperty fileObject fileSet format
    includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace
    samplingRate separator source subField transform
"""
_CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS.split()},
}
_TYPES: dict[Any, str] = {
    pl.String: "sc:Text",
    pl.Float64: "cr:Float64",
    pl.Float32: "cr:Float32",
    pl.Int64: "cr:Int64",
    pl.Int32: "cr:Int32",
}
_PARQUET = "application/x-parquet"


def describe(manifest: Manifest, folder: Path, filled: Sequence[Config], found: Figures, licences: list[str]) -> Json:
    """Return ``croissant.json`` for the release in ``folder``, whose data files and manifest are already written.

    ``filled``: the configs that have rows. ``found``: the answers of ``queries.CROISSANT``. ``licences``: those of the
    release, as identifiers or links.
    """
    recipe, profile = recipes.read_recipe(manifest), parse_profile(manifest.profile or "gated")
    title = f"{recipe.name} {manifest.version} ({manifest.profile})"
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS,
        "name": recipe.name,
        "alternateName": title,
        "description": recipe.description or f"Prompts for the safety of language models: {recipe.name}.",
        "version": f"{manifest.version.removeprefix('v')}.0.0",
        "identifier": manifest.digest,
        "license": licences,
        "inLanguage": sorted(row["language"] for row in found["languages"] if row["language"] and row["released"]),
        "keywords": ["safety", "red teaming", "adversarial prompts", "over-refusal", "preference pairs"],
        "citeAs": f"@misc{{{recipe.name}-{manifest.version}, title = {{{title}}}, note = {{{manifest.digest}}}}}",
        **_responsible(manifest, found),
        "distribution": [*_files(folder), *(_file_set(config) for config in filled)],
        "recordSet": [_record_set(config, profile) for config in filled],
    }


def _files(folder: Path) -> list[Json]:
    places = [*sorted((folder / "data").rglob("*.parquet")), folder / "manifest.json"]
    return [
        {
            "@type": "cr:FileObject",
            "@id": (name := path.relative_to(folder).as_posix()),
            "name": name,
            "contentUrl": name,
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": _PARQUET if path.suffix == ".parquet" else "application/json",
            "sha256": files.sha256(path),
        }
        for path in places
    ]


def _file_set(config: Config) -> Json:
    return {
        "@type": "cr:FileSet",
        "@id": f"{config.name}-files",
        "name": f"{config.name}-files",
        "description": f"The Parquet files of {config.name}.",
        "encodingFormat": _PARQUET,
        "includes": f"data/{config.name}/*.parquet",
    }


def _record_set(config: Config, profile: Profile) -> Json:
    schema, columns = configs.schema(config, profile), configs.columns(config)
    key = {"key": [{"@id": f"{config.name}/{name}"} for name in config.key]} if config.key else {}
    return {
        "@type": "cr:RecordSet",
        "@id": config.name,
        "name": config.name,
        "description": config.about,
        **key,
        "field": [_field(config, name, kind, columns[name].description) for name, kind in schema.items()],
    }


def _field(config: Config, name: str, kind: pl.DataType, description: str) -> Json:
    field = {"@type": "cr:Field", "@id": f"{config.name}/{name}", "name": name, "description": description}
    source = {"fileSet": {"@id": f"{config.name}-files"}, "extract": {"column": name}}
    listed: Json = {"isArray": True, "arrayShape": "-1"} if isinstance(kind, pl.List) else {}
    inner = kind.inner if isinstance(kind, pl.List) else kind
    if isinstance(inner, pl.Struct):
        parts = [
            {
                "@type": "cr:Field",
                "@id": f"{config.name}/{name}/{part.name}",
                "name": part.name,
                "dataType": _TYPES[part.dtype],
                "source": source | {"transform": {"jsonPath": part.name}},
            }
            for part in inner.fields
        ]
        return field | listed | {"subField": parts}
    types = [_TYPES[inner.base_type()], "cr:Split"] if name == "split" else _TYPES[inner.base_type()]
    return field | listed | {"dataType": types, "source": source}


def _responsible(manifest: Manifest, found: Figures) -> Json:
    """Return the RAI properties."""
    collected = "; ".join(
        f"{row['source']} ({row['repository'] or 'no repository'}, {row['licence'] or 'no licence stated'}): "
        f"{row['prompts']} prompts, {row['kept']} kept"
        for row in found["rows_by_source"]
        if row["prompts"]
    )
    judges = [f"judge {row['judge']}: {row['verdicts']} verdicts" for row in found["judges"]]
    labels = ", ".join(f"{row['label_source']} {row['kept']}" for row in found["label_sources"])
    languages = ", ".join(
        f"{row['language'] or 'unknown'} {row['released']}" for row in found["languages"] if row["released"]
    )
    dropped = [f"{row['prompts']} prompts were dropped as {row['reason']}" for row in found["drop_reasons"]]
    withheld = sorted({f"{each.table}: {each.because}" for each in manifest.withheld})
    properties: Json = {
        "dataCollection": f"Prompts of published sets, combined and curated; {manifest.iteration} iterations "
        "of a loop in which a red-team model writes attacks, a target model answers and judges give verdicts, and the "
        "successful attacks become prompts.",
        "dataCollectionType": ["Secondary Data analysis", *(["Experiments"] if manifest.iteration else [])],
        "dataCollectionRawData": collected,
        "dataCollectionMissingData": "Withheld: " + "; ".join(withheld) if withheld else "Nothing is withheld.",
        "dataPreprocessingProtocol": dropped or ["Nothing was dropped."],
        "dataManipulationProtocol": "Rows never change. Each drop, flag and relabel is a separate row with its "
        "reason and witness; texts are unchanged.",
        "dataAnnotationProtocol": f"Types of kept attacks by label source: {labels or 'none'}. Judges give the "
        "verdicts on responses; unparsed verdicts are in no rate.",
        "machineAnnotationTools": judges,
        "annotationsPerItem": "A verdict for each response and judge.",
        "dataUseCases": [
            "Safety training of language models, and the evaluation of attack success and over-refusal.",
            "Not for attacking systems. The splits test and harmless are for evaluation, never for training.",
        ],
        "dataBiases": [
            f"Kept prompts by language: {languages or 'none'}.",
            "Sources and judges decide what counts as an attack, so their errors and biases remain.",
        ],
        "dataLimitations": [
            "Attacks written by a model are only as diverse as the model, and become more similar over iterations.",
            "Models and rules give the verdicts, not people.",
        ],
        "dataSocialImpact": "Models become harder to misuse and refuse fewer harmless prompts. The same prompts can be "
        "used against models that were not trained on them.",
        "personalSensitiveInformation": [
            "Prompts may name people and mention sensitive traits. A release is scanned for contact data and "
            "secrets, and rows are taken down on request."
        ],
        "dataReleaseMaintenancePlan": "Versions are append-only and earlier ones do not change. The next version "
        "omits a row that was taken down and lists its id.",
    }
    return {f"rai:{name}": value for name, value in properties.items() if value}
