"""The configs in the metadata of a card: ``configs`` and ``dataset_info``.

Features come from the config's query; DuckDB counts rows and bytes. ``num_bytes`` is the size of the values in Arrow
memory: the width of numbers, the bytes of texts and four for each offset; nested values count as their JSON.
"""

from typing import Any

import polars as pl

from seas_data.query import sql
from seas_data.query.version import Version
from seas_data.release import configs, visibility
from seas_data.release.configs import Config
from seas_data.release.visibility import Profile

Facts = dict[str, Any]


def describe_configs(version: Version, profile: Profile) -> list[Facts]:
    """Return the ``name``, ``about``, ``features`` and ``splits`` of each config of ``profile`` that has rows.

    A split has a ``name``, ``rows`` and ``bytes``; splits without rows are left out.
    """
    shown = configs.for_profile(profile)
    schemas = [configs.schema(config, profile) for config in shown]
    tables = visibility.redacted_tables(profile)
    queries: list[tuple[str, dict[str, object]]] = [
        (tables + _count_query(config, schema), {}) for config, schema in zip(shown, schemas, strict=True)
    ]
    counts = sql.run_all(version.paths(), queries)
    found = [_config(*each) for each in zip(shown, schemas, counts, strict=True)]
    return [config for config in found if config["splits"]]


def columns(profile: Profile) -> list[Facts]:
    """Return the ``column`` and ``description`` of each column of the default config."""
    config = configs.CONFIGS[0]
    policies = configs.columns(config)
    return [{"column": name, "description": policies[name].description} for name in configs.schema(config, profile)]


def list_configs(described: list[Facts]) -> list[dict[str, object]]:
    """Return the described configs with their files, as ``configs`` in the metadata lists them.

    Splits without rows are not listed, because `datasets` cannot load them.
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
    """Return the described configs as the Hub's ``dataset_info``."""
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


def _count_query(config: Config, schema: pl.Schema) -> str:
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
