"""Weights of a checkpoint, loaded with transformers; whatever is wrong with them is one sentence."""

from pathlib import Path
from typing import Any

from seas_data.errors import SeasDataError
from seas_data.progress import hide_library_bars
from seas_data.text import printable


def load_weights(folder: Path | str, named: str, dtype: Any, model_class: Any = None) -> Any:
    """Return the model in ``folder``; ``named``: what messages call it, ``model_class``: that of transformers.

    Raises SeasDataError if it cannot be loaded, or if weights are missing, which transformers would draw at random.
    """
    import transformers

    try:
        with hide_library_bars():
            settings = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
            model, info = (model_class or find_class(settings)).from_pretrained(
                folder, dtype=dtype, trust_remote_code=False, use_safetensors=True, output_loading_info=True
            )
    except Exception as problem:  # the libraries and the code of each architecture raise errors of many classes
        reason = printable((str(problem).strip().splitlines() or [type(problem).__name__])[0])[:300]
        raise SeasDataError(
            f"the model {printable(named)} cannot be loaded: {reason}; check the checkpoint's files"
        ) from problem
    if missing := sorted(info["missing_keys"]):
        raise SeasDataError(
            f"the model {printable(named)} lacks {len(missing)} of its weights, such as {printable(missing[0])}; copy "
            "the checkpoint again, or choose a model of the kind that the recipe asks for"
        )
    return model


def find_class(settings: Any) -> Any:
    """Return the class of transformers that loads the weights of a model with ``settings``.

    It is the class that the checkpoint names if that one also reads images, as those of some guards do.
    """
    import transformers

    name = (settings.architectures or [""])[0]
    if not name.endswith("ForConditionalGeneration"):
        return transformers.AutoModelForCausalLM
    if not hasattr(transformers, name):
        raise ValueError(f"transformers has no {name}")
    return getattr(transformers, name)


def build_empty(settings: Any) -> Any:
    """Return the model that ``load_weights`` would load for ``settings``, without its weights if torch is on meta."""
    found = find_class(settings)
    return found.from_config(settings) if hasattr(found, "from_config") else found._from_config(settings)


def require_vocabulary(model: Any, tokenizer: Any, named: str) -> None:
    """Raise SeasDataError if the tokenizer has token ids for which the model has no embedding."""
    known = model.get_input_embeddings().num_embeddings
    highest = max(tokenizer.get_vocab().values(), default=0)
    if highest >= known:
        raise SeasDataError(
            f"the tokenizer of {printable(named)} has token ids up to {highest}, and the model has {known} embeddings; "
            "use the tokenizer that belongs to the weights"
        )
