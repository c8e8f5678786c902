"""The tables to load as the card's metadata describes them: ``dataset_info``, one entry a config.

Features come from the config's query over the version, rows and bytes are counted by DuckDB without a row leaving it.
``num_bytes`` is what the values take in memory as Arrow holds them: the width of numbers, the bytes of texts and four
for each text's offset; nested values count as their JSON.
"""

from typing import Any

import polars as pl

from seas_data.query import sql
from seas_data.query.version import Version
from seas_data.release import configs
from seas_data.release.configs import Config
from seas_data.release.visibility import Profile

Facts = dict[str, Any]


def describe(version: Version, profile: Profile) -> list[Facts]:
    """Return of each config of ``profile`` that has rows its ``name``, ``about``, ``features`` and ``splits``.

    A split is its ``name``, ``rows`` and ``bytes``; those without rows are left out, as they are in the folder's list.
    """
    shown = configs.of(profile)
    asked: list[tuple[str, dict[str, object]]] = [(_counting(config, configs.schema(config)), {}) for config in shown]
    counts = sql.read_all(version.paths(), asked)
    found = [_config(config, configs.schema(config), counted) for config, counted in zip(shown, counts, strict=True)]
    return [config for config in found if config["splits"]]


def listed(described: list[Facts]) -> list[dict[str, object]]:
    """Return ``describe``'s configs with their files, as the metadata lists them: `datasets` cannot load a split
    without rows, and there is none among them.
    """
    return [
        {"config_name": config["name"]}
        | ({"default": True} if config["name"] == configs.CONFIGS[0].name else {})
        | {
            "data_files": [
                {"split": split["name"], "path": f"data/{config['name']}/{split['name']}-*.parquet"}
                for split in config["splits"]
            ]
        }
        for config in described
    ]


def dataset_info(described: list[Facts]) -> list[Facts]:
    """Return ``describe``'s configs as the Hub's ``dataset_info``."""
    return [
        {
            "config_name": config["name"],
            "features": config["features"],
            "splits": [
                {"name": split["name"], "num_bytes": split["bytes"], "num_examples": split["rows"]}
                for split in config["splits"]
            ],
            "dataset_size": sum(split["bytes"] for split in config["splits"]),
        }
        for config in described
    ]


def _counting(config: Config, schema: pl.Schema) -> str:
    side = "split" if len(config.splits) > 1 else "'train'"
    size = " + ".join(_bytes(name, kind) for name, kind in schema.items())
    counts = f"{side} as name, count(*) as rows, cast(sum({size}) as bigint) as bytes"
    return f"select {counts} from ({config.query}) group by all"


def _config(config: Config, schema: pl.Schema, counted: pl.DataFrame) -> Facts:
    found = {row["name"]: row for row in counted.to_dicts() if row["rows"]}
    splits = [found[name] for name in config.splits if name in found]
    return {"name": config.name, "about": config.about, "features": _features(schema), "splits": splits}


def _bytes(name: str, kind: pl.DataType) -> str:
    column = '"' + name.replace('"', '""') + '"'
    if kind.is_numeric():
        return "4" if kind in (pl.Int32, pl.Float32) else "8"
    text = column if kind == pl.String else f"cast(to_json({column}) as varchar)"
    return f"coalesce(strlen({text}), 0) + 4"


def _features(schema: pl.Schema) -> list[Facts]:
    from datasets import Features

    features: list[Facts] = Features({name: _feature(kind) for name, kind in schema.items()})._to_yaml_list()
    return features


def _feature(kind: Any) -> Any:
    from datasets import List, Value

    if isinstance(kind, pl.List):
        return List(_feature(kind.inner))
    if isinstance(kind, pl.Struct):
        return {field.name: _feature(field.dtype) for field in kind.fields}
    return Value(_NAMES[kind.base_type()])


_NAMES: dict[Any, str] = {
    pl.String: "string",
    pl.Int32: "int32",
    pl.Int64: "int64",
    pl.Float32: "float32",
    pl.Float64: "float64",
    pl.Boolean: "bool",
}
