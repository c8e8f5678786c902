"""Transformers backend: generation in this process, on a CPU or a GPU.

All requests are tokenised first, and batches of similar length are planned from all of them. Each batch has its own
seed, so its rows do not depend on which batches were computed before, and is stored when it is done. The last bits of a
batch's numbers depend on its shape, so a batch is never computed in part.
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
from seas_data.models import chat_template, checkpoint, control_tokens, generation_cache, token_probability
from seas_data.models.checkpoint_files import require_loadable
from seas_data.models.loading import load_weights, require_vocabulary
from seas_data.models.protocol import ANSWER_SCHEMA, PromptFormat, Sampling, get_content_column
from seas_data.models.thinking import Split, split_thinking
from seas_data.progress import bar
from seas_data.recipe import ModelInProcess

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TokenIds = tuple[list[int], list[int]]
"""The token ids of unsafe and of safe; empty lists if no score is asked for."""


@dataclass(frozen=True)
class Row:
    """One answer to generate: a sample of a request, with the request's tokens."""

    request_id: str
    sample: int
    key: str
    tokens: NDArray[np.int64]
    note: str | None = None
    """What was changed in the request's text."""


class TransformersBackend:
    """A model loaded in this process."""

    def __init__(self, name: str, settings: ModelInProcess) -> None:
        self.name = name
        self.settings = settings
        self.folder = checkpoint.resolve_folder(settings.model, settings.revision)
        require_loadable(self.folder)
        self.tokenizer = chat_template.load_tokenizer(str(self.folder), template=settings.chat_template)
        self.model = load(self.folder, settings)
        require_vocabulary(self.model, self.tokenizer, settings.model)
        self.end_ids = chat_template.end_token_ids(self.tokenizer, self.model.generation_config.eos_token_id)
        _reset_generation_config(self.model)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the checkpoint's files."""
        return checkpoint.compute_digest(self.folder)

    @property
    def backend_settings(self) -> dict[str, Any]:
        """The precision of the weights, and whether thinking is kept in the text."""
        precision = {"precision": str(self.model.dtype).removeprefix("torch.")}
        return precision | ({} if self.settings.thinking == "split" else {"thinking": self.settings.thinking})

    @property
    def max_positions(self) -> int:
        """The most tokens that the model can hold, request and answer together."""
        return int(getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30)

    def generate(
        self,
        requests: pl.DataFrame,
        sampling: Sampling,
        samples: int,
        folder: Path,
        label: str,
        prompt_format: PromptFormat | None = None,
    ) -> pl.DataFrame:
        """Answer each request ``samples`` times; see ``protocol.Generator``.

        A request that leaves no room for an answer, or whose turns the chat template cannot render, becomes a failed
        row. Raises SeasDataError if memory runs out.
        """
        prompt_format = prompt_format or PromptFormat()
        rows, failed = self.to_rows(requests, samples, prompt_format)
        batches = self.plan_batches(rows, sampling)
        verdict_tokens = prompt_format.verdict_tokens
        ids: TokenIds = ([], [])
        if verdict_tokens is not None:
            ids = token_probability.verdict_token_ids(verdict_tokens, self.tokenizer)
        model = f"{self.digest} {self.model.dtype} {self.model.device.type} {self.settings.thinking}"
        keys = [
            generation_cache.batch_key(model, sampling, prompt_format, [row.key for row in each]) for each in batches
        ]
        answers = [failed]
        with bar(len(rows), label, "answers") as progress:
            for batch, key in zip(batches, keys, strict=True):
                stored = generation_cache.read_batch(folder, key)
                if stored is None:
                    answered = self._answer(batch, sampling, prompt_format, ids)
                    stored = generation_cache.write_batch(folder, key, answered)
                answers.append(stored)
                progress.update(len(batch))
        return generation_cache.concat_batches(answers)

    def to_rows(
        self, requests: pl.DataFrame, samples: int, prompt_format: PromptFormat
    ) -> tuple[list[Row], pl.DataFrame]:
        """Return the answers to generate, and the failed rows of requests that cannot be answered."""
        column = get_content_column(requests)
        requests = requests.sort("request_id")
        failed: list[tuple[Any, ...]] = []
        if column == "messages":
            chat_template.require_template(self.tokenizer)
            reasons = chat_template.find_refusals(self.tokenizer, requests[column].to_list(), prompt_format)
            refused = pl.Series(reasons, dtype=pl.String)
            for request_id, reason in zip(requests["request_id"], reasons, strict=True):
                failed += [_failed_row(request_id, n, reason) for n in range(samples) if reason is not None]
            requests = requests.filter(refused.is_null())
        contents = requests[column].to_list()
        if column == "messages" and prompt_format.contents_as_text:
            read = control_tokens.tokenize_as_text(self.tokenizer, contents, prompt_format)
            texts = [each.text for each in read]
            tokens = [each.ids for each in read]
            notes = [control_tokens.NEUTRALISED if each.neutralised else None for each in read]
        else:
            if column == "text":
                texts = [prompt_format.bos + text for text in contents]
            else:
                texts = chat_template.render_conversations(self.tokenizer, contents, prompt_format)
            tokens = _tokenize(self.tokenizer, texts)
            notes = [None] * len(texts)
        rows = []
        for request_id, text, ids, note in zip(requests["request_id"], texts, tokens, notes, strict=True):
            if 0 < len(ids) < self.max_positions:
                keys = [generation_cache.row_key(request_id, number, text) for number in range(samples)]
                rows += [Row(request_id, number, key, ids, note) for number, key in enumerate(keys)]
            else:
                reason = f"the request has {len(ids)} tokens; the model holds {self.max_positions} with the answer"
                failed += [_failed_row(request_id, n, reason) for n in range(samples)]
        return rows, pl.DataFrame(failed, ANSWER_SCHEMA, orient="row")

    def plan_batches(self, rows: Sequence[Row], sampling: Sampling) -> list[list[Row]]:
        """Return ``rows`` in batches of similar length, within the settings' limits."""
        lengths = np.array([len(row.tokens) for row in rows], np.int64)
        plan = generation_cache.plan_batches(
            lengths, sampling.max_new_tokens, self.settings.max_batch_tokens, self.settings.max_batch_rows
        )
        return [[rows[number] for number in batch] for batch in plan]

    def _answer(
        self, batch: Sequence[Row], sampling: Sampling, prompt_format: PromptFormat, verdict_ids: TokenIds
    ) -> pl.DataFrame:
        """Return the answers of one batch, generated together."""
        import torch

        width = max(len(row.tokens) for row in batch)
        ids = np.full((len(batch), width), self.tokenizer.pad_token_id or 0, np.int64)
        mask = np.zeros_like(ids)
        for position, row in enumerate(batch):
            ids[position, width - len(row.tokens) :] = row.tokens
            mask[position, width - len(row.tokens) :] = 1
        recorder = self._create_recorder(verdict_ids)
        seed = generation_cache.batch_seed(sampling, [row.key for row in batch])
        with _seeded(seed, self.model.device.type), torch.inference_mode():
            try:
                generated = self.model.generate(
                    input_ids=torch.from_numpy(ids).to(self.model.device),
                    attention_mask=torch.from_numpy(mask).to(self.model.device),
                    logits_processor=[recorder] if recorder else None,
                    **self._generation_arguments(sampling, self.max_positions - width),
                )
            except torch.OutOfMemoryError as problem:
                raise SeasDataError(
                    f"memory ran out for {self.name} with a batch of {len(batch)} rows of {width} tokens and their "
                    f"answers; lower max_batch_tokens ({self.settings.max_batch_tokens})"
                ) from problem
        answers = generated[:, width:].cpu().numpy()
        scores: list[float | None] = [None] * len(batch)
        if recorder is not None and prompt_format.verdict_tokens is not None:
            probabilities = torch.stack(recorder.steps, 1).double().cpu().numpy()
            scores = token_probability.compute_scores(
                prompt_format.verdict_tokens, self.tokenizer, answers, probabilities, {*verdict_ids[0], *verdict_ids[1]}
            )
        return self._to_frame(batch, answers, scores)

    def _to_frame(
        self, batch: Sequence[Row], answers: NDArray[np.int64], scores: Sequence[float | None]
    ) -> pl.DataFrame:
        ended = np.isin(answers, self.end_ids)
        tokens = np.where(ended.any(1), ended.argmax(1), answers.shape[1])
        texts = self.tokenizer.batch_decode(
            [answer[:count] for answer, count in zip(answers, tokens, strict=True)], skip_special_tokens=True
        )
        parts = [Split(text) if self.settings.thinking == "keep" else split_thinking(text) for text in texts]
        return pl.DataFrame(
            {
                "request_id": [row.request_id for row in batch],
                "sample": [row.sample for row in batch],
                "text": [part.answer for part in parts],
                "finish_reason": np.where(ended.any(1), "stop", "length").tolist(),
                "tokens": tokens,
                "error": [None] * len(batch),
                "score": scores,
                "thinking": [part.thinking for part in parts],
                "note": [
                    "; ".join(note for note in (row.note, part.note) if note) or None
                    for row, part in zip(batch, parts, strict=True)
                ],
            },
            strict=False,
        ).cast(ANSWER_SCHEMA)

    def _create_recorder(self, verdict_ids: TokenIds) -> token_probability.ProbabilityRecorder | None:
        import torch

        if not all(verdict_ids):
            return None
        unsafe, safe = (torch.tensor(ids, device=self.model.device) for ids in verdict_ids)
        return token_probability.ProbabilityRecorder(unsafe, safe)

    def _generation_arguments(self, sampling: Sampling, free_positions: int) -> dict[str, Any]:
        drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        return (drawn if sampling.temperature > 0 else {"do_sample": False}) | {
            "max_new_tokens": min(sampling.max_new_tokens, free_positions),
            "eos_token_id": self.end_ids or None,
            "pad_token_id": self.tokenizer.pad_token_id or 0,
        }


@contextmanager
def open_backend(name: str, settings: ModelInProcess) -> Iterator[TransformersBackend]:
    """Load a model, yield it, and free its memory afterwards. Raises SeasDataError if it cannot be loaded."""
    backend = TransformersBackend(name, settings)
    try:
        yield backend
    finally:
        del backend.model
        free_memory()


def free_memory() -> None:
    """Release the memory of models that nothing refers to any more."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def load(folder: Path, settings: ModelInProcess, model_class: Any = None) -> "PreTrainedModel":
    """Load the checkpoint in ``folder`` as ``model_class`` of transformers, or as the class that it names.

    Raises SeasDataError if the checkpoint cannot be loaded or there is no GPU for ``device: cuda``.
    """
    import torch

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise SeasDataError(f"{settings.model} has device: cuda, and there is no GPU; set device: auto")
    on_gpu = settings.device != "cpu" and torch.cuda.is_available()
    half = settings.precision == "bf16" or (settings.precision == "auto" and on_gpu)
    model = load_weights(folder, settings.model, torch.bfloat16 if half else torch.float32, model_class)
    return model.to("cuda" if on_gpu else "cpu").eval()


def _failed_row(request_id: str, sample: int, reason: str) -> tuple[Any, ...]:
    """Return the columns of ``ANSWER_SCHEMA`` for a request that failed."""
    return request_id, sample, None, "error", None, reason, *[None] * 3


def _reset_generation_config(model: "PreTrainedModel") -> None:
    """Remove the checkpoint's own sampling settings (top-k 50, penalties), so that only the recipe's apply."""
    from transformers import GenerationConfig

    model.generation_config = GenerationConfig()


def _tokenize(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> list[NDArray[np.int64]]:
    tokens: list[NDArray[np.int64]] = []
    for start in range(0, len(texts), 4096):
        ids = tokenizer(list(texts[start : start + 4096]), add_special_tokens=False)["input_ids"]
        tokens += [np.asarray(row, np.int64) for row in ids]
    return tokens


@contextmanager
def _seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch within the block, and restore its random state afterwards."""
    import torch

    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        torch.manual_seed(seed)
        yield
