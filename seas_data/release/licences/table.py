"""The licences of prompt sets and models, and their terms for a release.

The terms are those that matter for a release of rows, as read by engineers, not lawyers, at ``url``. A licence that is
not listed is unknown, and the check refuses a release with it.
"""

from dataclasses import dataclass

NOTHING, NOTICE, CHANGES, ATTRIBUTION = range(4)
"""What redistributing rows requires: nothing; the licence text; also a statement of changes; also attribution."""


@dataclass(frozen=True)
class Licence:
    """The terms of a licence.

    ``id``: its SPDX identifier, or its usual name if it has none. ``hub``: its name on the Hugging Face Hub. ``url``:
    where to read it. ``share_alike``: the family of licences that derivatives must be under. ``is_model_licence``:
    whether it is for models rather than datasets. ``outputs``: its terms for outputs, as a sentence for the card.
    ``only_for``: the only models that outputs may improve.
    """

    id: str
    hub: str
    url: str
    duty: int = NOTICE
    version: float = 0
    commercial: bool = True
    share_alike: str | None = None
    derivatives: bool = True
    is_model_licence: bool = False
    outputs: str | None = None
    only_for: str | None = None


def find_licence(name: str) -> Licence | None:
    """Return the licence with this SPDX identifier or Hub name, case-insensitive; None if it is unknown."""
    return _BY_NAME.get(name.strip().casefold())


def creative_commons(parts: str, version: float = 4.0) -> Licence:
    """Return the Creative Commons licence with these elements, such as ``by-nc``."""
    name = f"CC-{parts.upper()}-{version}"
    return Licence(
        id=name,
        hub=name.casefold(),
        url=f"https://creativecommons.org/licenses/{parts}/{version}/legalcode",
        duty=ATTRIBUTION,
        version=version,
        commercial="nc" not in parts,
        share_alike=f"cc-{parts}" if parts.endswith("sa") else None,
        derivatives="nd" not in parts,
    )


def _spdx(name: str, duty: int = NOTICE, hub: str = "", share_alike: str | None = None) -> Licence:
    hub = hub or name.casefold()
    return Licence(name, hub, f"https://spdx.org/licenses/{name}.html", duty, share_alike=share_alike)


def _model(
    name: str, url: str, outputs: str, *, hub: str = "", commercial: bool = True, only_for: str | None = None
) -> Licence:
    return Licence(
        name,
        hub or name,
        url,
        ATTRIBUTION,
        commercial=commercial,
        is_model_licence=True,
        outputs=outputs,
        only_for=only_for,
    )


_LLAMA = "https://github.com/meta-llama/llama-models/blob/main/models/"
_NAMED = (
    'If outputs of {0} train a model that is distributed, its name must begin with "Llama" (section 1.b.i); state '
    '"Built with Llama" where {0} is used.'
)
_RAIL = "Outputs belong to their author; the use restrictions apply to whoever runs the model."
LICENCES = (
    *(_spdx(name, NOTHING) for name in ("CC0-1.0", "PDDL-1.0", "Unlicense")),
    *(_spdx(name) for name in ("MIT", "MIT-0", "ISC", "BSD-2-Clause", "BSD-3-Clause", "CDLA-Permissive-2.0")),
    _spdx("Apache-2.0", CHANGES),
    _spdx("ODC-By-1.0", ATTRIBUTION, hub="odc-by"),
    _spdx("ODbL-1.0", ATTRIBUTION, hub="odbl", share_alike="odbl"),
    _spdx("CDLA-Sharing-1.0", ATTRIBUTION, share_alike="cdla-sharing"),
    *(_spdx(f"GPL-3.0-{which}", ATTRIBUTION, "gpl-3.0", "gpl") for which in ("only", "or-later")),
    *(
        creative_commons(parts, version)
        for parts in ("by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")
        for version in (2.0, 2.5, 3.0, 4.0)
    ),
    _model(
        "llama2",
        _LLAMA + "llama2/LICENSE",
        "Outputs may improve no large language models other than Llama 2 and its derivatives (section 1.b.v).",
        only_for="llama2",
    ),
    _model(
        "llama3",
        "https://github.com/meta-llama/llama3/blob/main/LICENSE",
        "Outputs may improve no large language models other than Meta Llama 3 and its derivatives (section 1.b.v); "
        'state "Built with Meta Llama 3" where it is used.',
        only_for="llama3",
    ),
    *(
        _model(f"llama{number}", _LLAMA + f"llama{number.replace('.', '_')}/LICENSE", _NAMED.format(f"Llama {number}"))
        for number in ("3.1", "3.2", "3.3", "4")
    ),
    _model(
        "gemma",
        "https://ai.google.dev/gemma/terms",
        "Google claims no rights in outputs, but a model that is trained on them to perform like Gemma is a derivative "
        "of Gemma, and its terms and use restrictions apply (sections 1.1 e and 3.1).",
    ),
    _model(
        "qwen",
        "https://huggingface.co/Qwen/Qwen2.5-72B-Instruct/blob/main/LICENSE",
        'If outputs train a model that is distributed, its documentation must state "Built with Qwen" or "Improved '
        'using Qwen".',
        hub="other",
    ),
    _model(
        "qwen-research",
        "https://huggingface.co/Qwen/Qwen2.5-3B/blob/main/LICENSE",
        "For research and evaluation only. If outputs train a model that is distributed, its documentation must state "
        '"Built with Qwen" or "Improved using Qwen".',
        hub="other",
        commercial=False,
    ),
    _model("openrail", "https://huggingface.co/blog/open_rail", _RAIL),
    _model("bigscience-openrail-m", "https://www.licenses.ai/blog/2022/8/26/bigscience-open-rail-m-license", _RAIL),
    _model("bigcode-openrail-m", "https://huggingface.co/spaces/bigcode/bigcode-model-license-agreement", _RAIL),
)
_BY_NAME = {name.casefold(): each for each in LICENCES for name in (each.id, each.hub) if name != "other"}
