"""Write the pages of docs/reference/, docs/tables.md, the table of checks in docs/release.md and the
queries in docs/sql.md from the code.

python docs/generate.py            # from the checkout; a test compares the pages with what this writes
"""

import importlib
import inspect
import re
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import seas_data as sd
from seas_data import cli
from seas_data.judges import refusal, rules
from seas_data.judges.guards import GUARDS
from seas_data.metrics.registry import METRICS
from seas_data.query import library, listing
from seas_data.recipe import Recipe
from seas_data.recipe.judges import GUARDS_GROUP
from seas_data.release import checks
from seas_data.resources import folder
from seas_data.sources.logs.formats import LOG_FORMATS
from seas_data.tables import TABLES, policy

DOCS = Path(__file__).parent
GENERATED = "<!-- Written by docs/generate.py from the code. Do not edit. -->\n"


def pages() -> dict[str, str]:
    """Return the text of each generated page by its path in docs/."""
    tables = (DOCS / "tables.md").read_text(encoding="utf-8")
    introduction = tables[: tables.index(f"## {next(iter(TABLES))}\n")]
    release, listed = (DOCS / "release.md").read_text(encoding="utf-8"), checks.markdown_table()
    header = listed[: listed.index("\n| `") + 1]
    before, _, after = release.partition(header)
    rest = re.sub(r"\A(?:\|.*\n)*", "", after)
    return {
        "reference/cli.md": cli_page(),
        "reference/recipe.md": recipe_page(),
        "reference/python.md": python_page(),
        "reference/logs.md": logs_page(),
        "reference/judges.md": judges_page(),
        "reference/plugins.md": plugins_page(),
        "sql.md": listing.update_text((DOCS / "sql.md").read_text(encoding="utf-8"), library.load(folder("sql"))),
        "release.md": before + listed + rest,
        "tables.md": introduction + policy.markdown(TABLES.items()),
    }


def cli_page() -> str:
    """Return a section for each command: its usage, help, arguments and options."""
    root: Any = typer.main.get_command(cli.app)
    parts = [GENERATED, "# Commands\n", "`seas-data COMMAND --help` prints the same.\n"]
    for name, command in root.commands.items():
        context = typer.Context(command, info_name=f"seas-data {name}")
        text, _, examples = inspect.cleandoc(command.help or "").partition("\b\n")
        parts += [f"## {name}\n", f"{text.strip()}\n"]
        if examples:
            parts.append(f"```text\n{examples.strip()}\n```\n")
        rows = [_parameter(parameter, context) for parameter in command.params]
        parts.append("| argument or option | meaning |\n|---|---|\n" + "".join(filter(None, rows)))
    return "\n".join(parts)


def _parameter(parameter: Any, context: typer.Context) -> str:
    record = parameter.get_help_record(context)
    if record is None or "--help" in parameter.opts:
        return ""
    name, meaning = record
    return f"| `{name}` | {_cell(meaning)} |\n"


def recipe_page() -> str:
    """Return a table of keys for each section of a recipe."""
    sections: dict[str, type[BaseModel]] = {}
    _collect("", Recipe, sections)
    parts = [
        GENERATED,
        "# Recipe keys\n",
        "Sections that have the same keys are listed once. `NAME` is a name of your own. An unknown key or a wrong\n"
        "value is refused, with what is allowed.\n",
    ]
    for path, model in sections.items():
        parts += [f"## {path or 'top level'}\n", f"{_first_sentence(model)}\n"]
        rows = [_key(name, field) for name, field in model.model_fields.items()]
        parts.append("| key | type | default | meaning |\n|---|---|---|---|\n" + "".join(rows))
    return "\n".join(parts)


def _key(name: str, field: Any) -> str:
    kind = _cell(_type_name(field.annotation, field.metadata))
    return f"| `{name}` | {kind} | {_default(field)} | {_cell(field.description or '')} |\n"


def _collect(path: str, model: type[BaseModel], sections: dict[str, type[BaseModel]]) -> None:
    if model in sections.values():
        return
    sections[path] = model
    for name, field in model.model_fields.items():
        for place, inner in _models(field.annotation):
            _collect(f"{path}.{name}{place}".lstrip("."), inner, sections)


def _models(annotation: Any, place: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the models in an annotation and how each is reached: .NAME in a mapping, [] in a list, (X) in a union."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield place, annotation
        return
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _models(inner[0], place)
    elif origin is dict:
        yield from _models(inner[1], f"{place}.NAME")
    elif origin in (list, tuple):
        for each in inner:
            yield from _models(each, f"{place}[]")
    elif origin in (typing.Union, types.UnionType):
        found = [pair for each in inner for pair in _models(each, place)]
        yield from ((f"{at} ({model.__name__})", model) for at, model in found) if len(found) > 1 else found


def _type_name(annotation: Any, metadata: list[Any] | None = None) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    limits = "".join(
        f" {sign} {getattr(each, name)}"
        for each in metadata or []
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if getattr(each, name, None) is not None
    )
    if annotation is type(None):
        name = "null"
    elif origin is typing.Annotated:
        return _type_name(inner[0], list(inner[1:]))
    elif origin is typing.Literal:
        name = " or ".join(f"`{each}`" for each in inner)
    elif origin in (typing.Union, types.UnionType):
        name = " or ".join(dict.fromkeys(_type_name(each) for each in inner))
    elif origin is dict:
        name = f"mapping to {_type_name(inner[1])}"
    elif origin in (list, tuple):
        name = f"list of {_type_name(inner[0])}"
    elif inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        name = "section"
    else:
        name = {
            "str": "text",
            "bool": "true or false",
            "int": "integer",
            "float": "number",
            "Path": "path",
            "Any": "any value",
        }.get(getattr(annotation, "__name__", str(annotation)), getattr(annotation, "__name__", str(annotation)))
    return name + limits


def _default(field: Any) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "" if field.default_factory is not None else "required"
    if isinstance(value, BaseModel) or (isinstance(value, list) and any(isinstance(each, BaseModel) for each in value)):
        return ""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    text = " ".join(str(value).split())
    return f"`{_cell(text if len(text) <= 60 else text[:57] + '...')}`" if value != "" else '`""`'


def _first_sentence(model: type[BaseModel]) -> str:
    return " ".join(inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].split())


def python_page() -> str:
    """Return the signature and docstring of each public name."""
    parts = [
        GENERATED,
        "# Python\n",
        "The public names of `import seas_data as sd`. What a change of one of them means is in CONTRIBUTING.md.\n",
    ]
    for name in sd.__all__:
        value = getattr(sd, name)
        parts.append(f"## {name}\n")
        if inspect.isfunction(value):
            parts += [_signature(name, value), f"{_prose(value)}\n"]
        elif inspect.isclass(value):
            parts.append(f"{_prose(value) if name != 'Recipe' else 'A recipe; [its keys](recipe.md).'}\n")
            if name in ("Version", "Recipe"):
                for method, function in _methods(value, name):
                    parts += [f"### {name}.{method}\n", _signature(method, function), f"{_prose(function)}\n"]
        else:
            parts.append("The version of the package, a string.\n")
    return "\n".join(parts)


def _methods(value: type, name: str) -> Iterator[tuple[str, Any]]:
    public = ("table", "dataset", "sql", "diff", "paths") if name == "Version" else ("canonical", "digest")
    for method in public:
        yield method, getattr(value, method)


def _signature(name: str, function: Any) -> str:
    text = str(inspect.signature(function))
    text = re.sub(
        r"\b(?:seas_data|dataframely|polars|pathlib|collections|typing|datasets)(?:\.\w+)*\.(\w+)", r"\1", text
    )
    return f"```text\n{name}{text}\n```\n"


def _prose(value: Any, *, keep_lists: bool = False) -> str:
    text = re.sub(r"``([^`]+)``", r"`\1`", inspect.getdoc(value) or "")
    return text if keep_lists else text.replace("\nArgs:\n", "\n**Arguments**\n\n").replace("    ", "- ")


def logs_page() -> str:
    """Return a section for each log format: the docstring of its module, and the options that it uses."""
    parts = [
        GENERATED,
        "# Log formats\n",
        "The reader of a log is named by the key `log` of a source. [Logs](../logs.md) has what all readers do, and\n"
        "[recipe keys](recipe.md#sourcesnamelog_options) the meaning of `log_options`.\n",
    ]
    for name, module in _entries("seas_data.logs").items():
        options = ", ".join(f"`{each}`" for each in LOG_FORMATS.load(name).options)
        parts += [f"## {name}\n", f"{_prose(module, keep_lists=True)}\n", f"`log_options`: {options or 'none'}.\n"]
    return "\n".join(parts)


def judges_page() -> str:
    """Return what can judge: guards by family, rules, and models that classify refusals."""
    names = _entries(GUARDS_GROUP)
    rows = []
    for name in names:
        guard = GUARDS.load(name)
        options = [] if guard.configure is None else list(inspect.signature(guard.configure).parameters)
        cells = (guard.backends, "yes" if guard.classifies_refusals else "no", str(guard.max_new_tokens))
        rows.append(f"| `{name}` | {' | '.join(cells)} | {', '.join(f'`{each}`' for each in options) or 'none'} |\n")
    parts = [
        GENERATED,
        "# Judges\n",
        "What a judge of a recipe can be. [Judges](../judges.md) says how verdicts are read and how far to trust\n"
        "them, and [recipe keys](recipe.md) lists the keys of each kind.\n",
        "## Guards\n",
        "`by: guard`. Other distributions can add guards.\n",
        "| guard | backends | classifies refusals | longest output, in tokens | options |\n|---|---|---|---|---|\n"
        + "".join(rows),
    ]
    for module in dict.fromkeys(names.values()):
        title, _, text = _prose(module, keep_lists=True).partition("\n")
        title, _, what = title.rstrip(".").partition(": ")
        parts += [f"### {title}\n", *([f"{what[0].upper()}{what[1:]}.\n"] if what else []), f"{text.strip()}\n"]
    for title, module in (("Rules", rules), ("Refusal classes", refusal)):
        parts += [f"## {title}\n", f"{_prose(module, keep_lists=True)}\n"]
    return "\n".join(parts)


def _entries(group: str) -> dict[str, types.ModuleType]:
    """Return the module of each of this distribution's entries in a registry, by name."""
    entries = _project()["entry-points"][group]
    return {name: importlib.import_module(entries[name].partition(":")[0]) for name in sorted(entries)}


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def plugins_page() -> str:
    """Return the names in each registry; other distributions add to them by entry points."""
    formats = "".join(
        f"| `{name}` | {_cell(_prose(module).partition(chr(10) * 2)[0])} |\n"
        for name, module in _entries("seas_data.formats").items()
    )
    metrics = "".join(
        f"| `{name}` | {_cell(METRICS.load(name).description)} | "
        f"{', '.join(f'`{each}`' for each in METRICS.load(name).facets)} |\n"
        for name in _entries("seas_data.metrics")
    )
    logs, guards = (", ".join(f"`{name}`" for name in _entries(group)) for group in ("seas_data.logs", GUARDS_GROUP))
    parts = [
        GENERATED,
        "# Registries\n",
        "What can be added without a fork: a distribution names its entry in the entry point group, and the recipe,\n"
        "`--help` and messages know it.\n",
        "## Source formats\n",
        "Entry point group `seas_data.formats`. See [sources](../sources.md).\n",
        f"| format | what it reads |\n|---|---|\n{formats}",
        "## Logs of red-team tools\n",
        f"Entry point group `seas_data.logs`: {logs}. See [log formats](logs.md).\n",
        "## Guards\n",
        f"Entry point group `{GUARDS_GROUP}`: {guards}. See [judges](judges.md).\n",
        "## Metrics\n",
        "Entry point group `seas_data.metrics`; rows of the table [`metrics`](../tables.md#metrics). See\n"
        "[the loop](../loop.md) and [judges](../judges.md).\n",
        f"| metric | value | facets |\n|---|---|---|\n{metrics}",
        "## Release checks\n",
        "Entry point group `seas_data.checks`. See [releases](../release.md#checks).\n",
        re.sub(r"``([^`]+)``", r"`\1`", checks.markdown_table()),
    ]
    return "\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    for path, page in pages().items():
        (DOCS / path).write_text(page, encoding="utf-8")
