"""The licences that prompt sets and models of this field come under, and what each asks of a release.

Read for what a *release of rows* has to keep to, by engineers and not by lawyers; ``read`` says where, so that anybody
can read it again. A licence that is not listed is unknown, and a release with it is refused rather than guessed at.
"""

from dataclasses import dataclass

NOTHING, NOTICE, CHANGES, ATTRIBUTION = range(4)
"""What who passes rows on owes: nothing; the licence's text; also to say what was changed; also to name the authors."""


@dataclass(frozen=True)
class Licence:
    """What one licence asks.

    ``id``: its SPDX identifier, or where it has none the name in use. ``hub``: its name on the Hugging Face Hub.
    ``share_alike``: the family under which all that is made of it must stay. ``of_model``: a model's licence rather
    than a set's. ``outputs``: what it says about what the model writes, in a sentence for the card. ``only_for``: the
    models which those outputs may improve, all others being ruled out.
    """

    id: str
    hub: str
    read: str
    duty: int = NOTICE
    version: float = 0
    commercial: bool = True
    share_alike: str | None = None
    derivatives: bool = True
    of_model: bool = False
    outputs: str | None = None
    only_for: str | None = None


def find(name: str) -> Licence | None:
    """Return the licence of that SPDX identifier or Hub name, in any case; None if it is not known."""
    return _BY_NAME.get(name.strip().casefold())


def creative_commons(parts: str, version: float = 4.0) -> Licence:
    """Return the Creative Commons licence of these parts, such as ``by-nc``."""
    name = f"CC-{parts.upper()}-{version}"
    return Licence(
        id=name,
        hub=name.casefold(),
        read=f"https://creativecommons.org/licenses/{parts}/{version}/legalcode",
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
    name: str, read: str, outputs: str, *, hub: str = "", commercial: bool = True, only_for: str | None = None
) -> Licence:
    return Licence(
        name, hub or name, read, ATTRIBUTION, commercial=commercial, of_model=True, outputs=outputs, only_for=only_for
    )


_LLAMA = "https://github.com/meta-llama/llama-models/blob/main/models/"
_NAMED = (
    'If outputs of {0} train a model that is passed on, its name has to begin with "Llama" (section 1.b.i); say "Built '
    'with Llama" where {0} is used.'
)
_RAIL = "Outputs belong to who made them; the model's use restrictions hold for whoever runs the model."
_LICENCES = (
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
        "Outputs may improve no large language model but Llama 2 and what derives from it (section 1.b.v).",
        only_for="llama2",
    ),
    _model(
        "llama3",
        "https://github.com/meta-llama/llama3/blob/main/LICENSE",
        "Outputs may improve no large language model but Meta Llama 3 and what derives from it (section 1.b.v); say "
        '"Built with Meta Llama 3" where it is used.',
        only_for="llama3",
    ),
    *(
        _model(f"llama{number}", _LLAMA + f"llama{number.replace('.', '_')}/LICENSE", _NAMED.format(f"Llama {number}"))
        for number in ("3.1", "3.2", "3.3", "4")
    ),
    _model(
        "gemma",
        "https://ai.google.dev/gemma/terms",
        "Google claims no rights in outputs, but a model trained on them to be like Gemma derives from Gemma, and its "
        "terms and use restrictions go with it (section 1.1 e, 3.1).",
    ),
    _model(
        "qwen",
        "https://huggingface.co/Qwen/Qwen2.5-72B-Instruct/blob/main/LICENSE",
        'If outputs train a model that is passed on, its documentation has to say "Built with Qwen" or "Improved using '
        'Qwen".',
        hub="other",
    ),
    _model(
        "qwen-research",
        "https://huggingface.co/Qwen/Qwen2.5-3B/blob/main/LICENSE",
        "For research and evaluation only. If outputs train a model that is passed on, its documentation has to say "
        '"Built with Qwen" or "Improved using Qwen".',
        hub="other",
        commercial=False,
    ),
    _model("openrail", "https://huggingface.co/blog/open_rail", _RAIL),
    _model("bigscience-openrail-m", "https://www.licenses.ai/blog/2022/8/26/bigscience-open-rail-m-license", _RAIL),
    _model("bigcode-openrail-m", "https://huggingface.co/spaces/bigcode/bigcode-model-license-agreement", _RAIL),
)
_BY_NAME = {name.casefold(): each for each in _LICENCES for name in (each.id, each.hub) if name != "other"}
