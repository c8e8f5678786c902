"""A model in this process: transformers on a CPU or a GPU.

Requests become token ids once; batches of alike lengths are planned from all of them; each batch is seeded by itself,
so it comes out the same whichever batches were done before, and is stored when it is done. What a batch gives depends
on its shape in the last bits, so a batch is never computed in part.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.models import chat, checkpoint
from seas_data.models import generation_cache as parts
from seas_data.models import token_probability as deciding
from seas_data.models.protocol import ANSWERS, Asking, Sampling, check_requests
from seas_data.progress import bar, libraries_quiet
from seas_data.recipe import ModelInProcess

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class _Row:
    """One answer to be given: which sample of which request, and the request's tokens."""

    request_id: str
    sample: int
    key: str
    tokens: NDArray[np.int64]


class InProcess:
    """A loaded model that answers requests."""

    def __init__(self, name: str, settings: ModelInProcess) -> None:
        self.name = name
        self.settings = settings
        self.folder = checkpoint.place(settings.model, settings.revision)
        self.tokenizer = chat.load_tokenizer(str(self.folder), template=settings.chat_template)
        self.model = load(self.folder, settings)
        self.ends = chat.end_marks(self.tokenizer, self.model.generation_config.eos_token_id)
        _forget_defaults(self.model)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the checkpoint's files."""
        return checkpoint.digest(self.folder)

    @property
    def how(self) -> dict[str, Any]:
        """The type of its weights."""
        return {"precision": str(self.model.dtype).removeprefix("torch.")}

    @property
    def positions(self) -> int:
        """How many tokens the model can hold, asked and answered."""
        return int(getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30)

    def generate(
        self,
        requests: pl.DataFrame,
        sampling: Sampling,
        samples: int,
        folder: Path,
        label: str,
        asking: Asking | None = None,
    ) -> pl.DataFrame:
        """Answer each request ``samples`` times, as ``protocol.Generator`` has it.

        A request that leaves no room for an answer is a failed row. Raises SeasDataError if memory does not suffice.
        """
        asking = asking or Asking()
        rows, too_long = self._rows(requests, samples, asking)
        lengths = np.array([len(row.tokens) for row in rows], np.int64)
        room = sampling.max_new_tokens
        batches = [
            [rows[number] for number in batch]
            for batch in parts.plan(lengths, room, self.settings.batch_tokens, self.settings.batch_rows)
        ]
        words = ([], []) if asking.decision is None else deciding.sides(asking.decision, self.tokenizer)
        kind = f"{self.digest} {self.model.dtype} {self.model.device.type}"
        names = [parts.key(kind, sampling, asking, [row.key for row in batch]) for batch in batches]
        answers = [too_long]
        with bar(len(rows), label, "answers") as progress:
            for batch, name in zip(batches, names, strict=True):
                stored = parts.read(folder, name)
                if stored is None:
                    stored = parts.write(folder, name, self._answer(batch, sampling, asking, words))
                answers.append(stored)
                progress.update(len(batch))
        return parts.together(answers)

    def _rows(self, requests: pl.DataFrame, samples: int, asking: Asking) -> tuple[list[_Row], pl.DataFrame]:
        column = check_requests(requests)
        requests = requests.sort("request_id")
        asked = requests[column].to_list()
        bare = column == "text"
        texts = [asking.begin + text for text in asked] if bare else chat.render(self.tokenizer, asked, asking)
        tokens = _tokenised(self.tokenizer, texts)
        rows, long = [], []
        for request_id, text, ids in zip(requests["request_id"], texts, tokens, strict=True):
            if 0 < len(ids) < self.positions:
                rows += [_Row(request_id, n, parts.row_key(request_id, n, text), ids) for n in range(samples)]
            else:
                reason = f"{len(ids)} tokens asked; the model holds {self.positions}, the answer included"
                long += [(request_id, n, None, "error", None, reason, None) for n in range(samples)]
        return rows, pl.DataFrame(long, ANSWERS, orient="row")

    def _answer(
        self, batch: Sequence[_Row], sampling: Sampling, asking: Asking, words: tuple[list[int], list[int]]
    ) -> pl.DataFrame:
        """Return the rows of one batch, generated together; ``words``: as ``deciding.sides`` has them."""
        import torch

        width = max(len(row.tokens) for row in batch)
        ids = np.full((len(batch), width), self.tokenizer.pad_token_id or 0, np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(batch):
            ids[place, width - len(row.tokens) :] = row.tokens
            mask[place, width - len(row.tokens) :] = 1
        watch = self._watch(words)
        with _seeded(parts.seed(sampling, [row.key for row in batch]), self.model.device.type), torch.inference_mode():
            try:
                written = self.model.generate(
                    input_ids=torch.from_numpy(ids).to(self.model.device),
                    attention_mask=torch.from_numpy(mask).to(self.model.device),
                    logits_processor=[watch] if watch else None,
                    **self._how(sampling, self.positions - width),
                )
            except torch.OutOfMemoryError as problem:
                raise SeasDataError(
                    f"{self.name} has no memory for a batch of {len(batch)} rows of {width} tokens and their answers; "
                    f"lower batch_tokens ({self.settings.batch_tokens})"
                ) from problem
        answers = written[:, width:].cpu().numpy()
        scores: list[float | None] = [None] * len(batch)
        if watch is not None and asking.decision is not None:
            shares = torch.stack(watch.steps, 1).double().cpu().numpy()
            scores = deciding.scores(asking.decision, self.tokenizer, answers, shares, {*words[0], *words[1]})
        return self._as_frame(batch, answers, scores)

    def _as_frame(
        self, batch: Sequence[_Row], answers: NDArray[np.int64], scores: Sequence[float | None]
    ) -> pl.DataFrame:
        ended = np.isin(answers, self.ends)
        tokens = np.where(ended.any(1), ended.argmax(1), answers.shape[1])
        texts = self.tokenizer.batch_decode(
            [answer[:count] for answer, count in zip(answers, tokens, strict=True)], skip_special_tokens=True
        )
        return pl.DataFrame(
            {
                "request_id": [row.request_id for row in batch],
                "sample": [row.sample for row in batch],
                "text": texts,
                "finish_reason": np.where(ended.any(1), "stop", "length").tolist(),
                "tokens": tokens,
                "error": [None] * len(batch),
                "score": scores,
            },
            strict=False,
        ).cast(ANSWERS)

    def _watch(self, words: tuple[list[int], list[int]]) -> deciding.Watch | None:
        import torch

        if not all(words):
            return None
        unsafe, safe = (torch.tensor(side, device=self.model.device) for side in words)
        return deciding.Watch(unsafe, safe)

    def _how(self, sampling: Sampling, left: int) -> dict[str, Any]:
        drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        return (drawn if sampling.temperature > 0 else {"do_sample": False}) | {
            "max_new_tokens": min(sampling.max_new_tokens, left),
            "eos_token_id": self.ends or None,
            "pad_token_id": self.tokenizer.pad_token_id or 0,
        }


@contextmanager
def in_process(name: str, settings: ModelInProcess) -> Iterator[InProcess]:
    """Load a model and yield it; its memory is free again afterwards. Raises SeasDataError if it cannot be loaded."""
    generator = InProcess(name, settings)
    try:
        yield generator
    finally:
        del generator.model
        free_memory()


def free_memory() -> None:
    """Give back what a model held that nothing refers to any more."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def load(folder: Path, settings: ModelInProcess, kind: Any = None) -> "PreTrainedModel":
    """Load a model as ``kind`` of transformers; without it as the class that the checkpoint names.

    So guards that can see images load too. Raises SeasDataError if it cannot be loaded, or there is no GPU for it.
    """
    import torch

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise SeasDataError(f"{settings.model} is to run on a GPU, and there is none; set device: auto")
    on_gpu = settings.device != "cpu" and torch.cuda.is_available()
    half = settings.precision == "bf16" or (settings.precision == "auto" and on_gpu)
    try:
        kind = kind or _named_class(folder)
        with libraries_quiet():
            model = kind.from_pretrained(
                folder, dtype=torch.bfloat16 if half else torch.float32, trust_remote_code=False
            )
    except (OSError, ValueError, KeyError) as problem:
        reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        raise SeasDataError(f"the model {settings.model} cannot be loaded: {reason}") from problem
    return model.to("cuda" if on_gpu else "cpu").eval()


def _named_class(folder: Path) -> Any:
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    named = (config.architectures or [""])[0]
    if not named.endswith("ForConditionalGeneration"):
        return transformers.AutoModelForCausalLM
    if not hasattr(transformers, named):
        raise ValueError(f"transformers has no {named}")
    return getattr(transformers, named)


def _forget_defaults(model: "PreTrainedModel") -> None:
    """Take away the settings that a checkpoint brings (top-k 50, penalties): what is not asked for is not applied."""
    from transformers import GenerationConfig

    model.generation_config = GenerationConfig()


def _tokenised(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> list[NDArray[np.int64]]:
    tokens: list[NDArray[np.int64]] = []
    for start in range(0, len(texts), 4096):
        ids = tokenizer(list(texts[start : start + 4096]), add_special_tokens=False)["input_ids"]
        tokens += [np.asarray(row, np.int64) for row in ids]
    return tokens


@contextmanager
def _seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch inside the block alone."""
    import torch

    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        torch.manual_seed(seed)
        yield
