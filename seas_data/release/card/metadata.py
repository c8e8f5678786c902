"""The card's metadata: the YAML block at its top, as the Hugging Face Hub reads it.

The keys are those of the Hub's specification (``datasetcard.md`` of its documentation): search filters, the files and
columns of each config and split, and the form of a gate. Every value from outside is on one line, cut, and written by a
YAML library, so that no value can add a key or end the block.

``merge`` updates a card that is on the Hub already: the keys of ``MANAGED`` derive from the data and are replaced; all
others are kept, and tags are combined.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml
from huggingface_hub.repocard import REGEX_YAML_BLOCK

from seas_data import yaml_text
from seas_data.errors import SeasDataError
from seas_data.markdown import line
from seas_data.release import configs
from seas_data.release.card import metadata_text
from seas_data.release.licences.table import find_licence

ARXIV = "2408.02632"

MANAGED = (
    "language",
    "license",
    "license_name",
    "license_link",
    "multilinguality",
    "size_categories",
    "source_datasets",
    "task_categories",
    "annotations_creators",
    "language_creators",
    "configs",
    "dataset_info",
    "base_model",
    "library_name",
    "pipeline_tag",
)
"""The keys that derive from the data. ``tags`` are combined, and an existing ``pretty_name`` is kept."""
_LISTS_OF_CONFIGS = ("configs", "dataset_info")
"""Managed by entry: those of configs that are not ours are kept."""
_GATE = ("extra_gated_prompt", "extra_gated_fields", "extra_gated_button_content")
"""Managed if the release is gated; otherwise the publisher may have added a gate."""

_SIZES = {
    1_000: "n<1K",
    10_000: "1K<n<10K",
    100_000: "10K<n<100K",
    1_000_000: "100K<n<1M",
    10_000_000: "1M<n<10M",
    100_000_000: "10M<n<100M",
    1_000_000_000: "100M<n<1B",
}

# The licences of data and language models in the Hub's list (repositories-licenses.md).
_HUB_LICENCES = """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigcode-openrail-m afl-3.0 artistic-2.0
    bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0
    cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
    cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl
    ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c
    ms-pl mpl-2.0 odc-by odbl osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr llama2 llama3 llama3.1
    llama3.2 llama3.3 llama4 gemma
"""
HUB_LICENCES = frozenset(_HUB_LICENCES.split())


def size_category(rows: int) -> str:
    """Return the Hub's name for a set of ``rows`` rows."""
    return next((name for limit, name in _SIZES.items() if rows < limit), "1B<n<10B")


def licence(name: str | None) -> dict[str, str]:
    """Return the metadata of a licence: its id on the Hub, or ``other`` with its name and link. None is unknown."""
    if name is None:
        return {"license": "unknown"}
    known = find_licence(name)
    hub = known.hub if known else name.casefold()
    if hub in HUB_LICENCES:
        return {"license": hub}
    slug = re.sub(r"[^a-z0-9.]+", "-", line(known.id if known else name).casefold()).strip("-.")
    return {"license": "other", "license_name": slug or "custom"} | ({"license_link": known.url} if known else {})


def languages(codes: Iterable[str | None]) -> list[str]:
    """Return the ISO 639 codes among ``codes``, sorted."""
    return sorted({code for code in codes if code is not None and re.fullmatch("[a-z]{2,3}", code)})


def hub_ids(names: Iterable[str | None]) -> list[str]:
    """Return the valid names of Hub repositories among ``names``, sorted."""
    pattern = r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}"
    return sorted({name for name in names if name is not None and re.fullmatch(pattern, name, re.ASCII)})


def dump(content: Mapping[str, Any] | list[Any]) -> str:
    """Return ``content`` without None as YAML, with keys in order and each text on one line."""
    if isinstance(content, Mapping):
        present: Any = {key: value for key, value in content.items() if value is not None}
    else:
        present = content
    written = yaml.safe_dump(present, sort_keys=False, allow_unicode=True, width=10**9)
    if yaml.safe_load(written) == present:
        return written
    # PyYAML reads some characters, such as U+0085, as white space but writes them as letters.
    return yaml.safe_dump(present, sort_keys=False, allow_unicode=False, width=10**9)


def update(card: str, current: Mapping[str, Any]) -> str:
    """Return the metadata of ``card``, as YAML, updated with the metadata ``current`` of the version.

    What does not change keeps its text. Raises SeasDataError as ``split`` does.
    """
    existing, _ = split(card)
    found = REGEX_YAML_BLOCK.search(card)
    merged = merge(existing, current)
    return metadata_text.update(found.group(2), existing, merged, dump) if found and existing else dump(merged)


def split(card: str) -> tuple[dict[str, Any], str]:
    """Return the metadata and the body of a card. Raises SeasDataError if the metadata is not a YAML mapping.

    The block is found with the regular expression that the Hub uses.
    """
    found = REGEX_YAML_BLOCK.search(card)
    if found is None:
        return {}, card
    try:
        content = yaml_text.load(found.group(2), repeated_keys=True)
    except ValueError as problem:
        details = line(" ".join(str(problem).split()))
        raise SeasDataError(f"the metadata of the card is not valid YAML ({details}); fix or remove it") from None
    if content is not None and not isinstance(content, dict):
        raise SeasDataError("the metadata of the card is not a mapping; fix or remove it")
    return content or {}, card[found.end() :]


def merge(existing: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata ``existing`` of a card, updated with the metadata ``current`` of the version."""
    managed = {*MANAGED, *(key for key in _GATE if key in current)}
    unmanaged = {key: value for key, value in existing.items() if key not in managed}
    merged = {**current, **unmanaged}
    merged["tags"] = combine(existing.get("tags"), current.get("tags"))
    for key in _LISTS_OF_CONFIGS:
        merged[key] = _merge_configs(existing.get(key), current.get(key))
    order = [*existing, *(key for key in merged if key not in existing)]
    return {key: merged[key] for key in order if key in merged and merged[key] not in (None, [])}


def _merge_configs(existing: object, current: Any) -> list[Any]:
    """Return the entries of ``existing`` with ours in their current form; those of other configs stay as they are.

    If one of the others is the default, ours is not: a repository has one default config.
    """
    ours = {each["config_name"]: each for each in current or []}
    held = combine(existing, None)
    names = [str(each.get("config_name", "default")) if isinstance(each, dict) else None for each in held]
    own = {*ours, *(config.name for config in configs.CONFIGS)}
    others = [each for each, name in zip(held, names, strict=True) if name not in own]
    if any(isinstance(each, dict) and each.get("default") for each in others):
        ours = {name: {key: each[key] for key in each if key != "default"} for name, each in ours.items()}
    kept = [ours.get(str(name)) if name in own else each for each, name in zip(held, names, strict=True)]
    return combine([each for each in kept if each is not None], list(ours.values()))


def differences(existing: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values ``merge`` would change."""
    merged = merge(existing, current)
    return sorted(key for key in {*existing, *merged} if existing.get(key) != merged.get(key))


def combine(first: object, second: object) -> list[Any]:
    """Return the distinct values of two lists, in order; a single value counts as a list."""
    values: list[Any] = []
    for part in (first, second):
        listed: Sequence[Any] = part if isinstance(part, list) else [] if part is None else [part]
        values += [value for value in listed if value not in values]
    return values
