"""Transformers backend: generation in this process, on a CPU or a GPU.

All requests are tokenised first, and batches of similar length are planned from all of them. Each answer has its own
random numbers (``token_sampler``) and its own limit of tokens, so it does not depend on its batch, and each batch is
stored when it is done. Only the last bits of a batch's numbers depend on its shape.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.models import (
    chat_template,
    checkpoint,
    control_tokens,
    generation_cache,
    model_folder,
    prompt_cache,
    token_probability,
)
from seas_data.models.checkpoint_files import require_loadable
from seas_data.models.loading import load_weights, require_vocabulary
from seas_data.models.protocol import ANSWER_SCHEMA, PromptFormat, Sampling, get_content_column
from seas_data.models.thinking import CHANNEL_TOKENS, Split, is_thinking_tag, opens_thinking, split_thinking
from seas_data.models.token_sampler import NumberCheck, TokenSampler, draw_uniforms
from seas_data.progress import bar
from seas_data.recipe import ModelInProcess

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ROOM_STEP: Final = 64
"""Requests that leave too few positions for ``max_new_tokens`` are grouped by this many tokens."""
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
    opened: bool = False
    """Whether the chat template opened thinking at the end of the request."""


class TransformersBackend:
    """A model loaded in this process."""

    def __init__(self, name: str, settings: ModelInProcess) -> None:
        self.name = name
        self.settings = settings
        self.folder = model_folder.resolve_folder(settings.model, settings.revision)
        require_loadable(self.folder)
        self.tokenizer = chat_template.load_tokenizer(str(self.folder), template=settings.chat_template)
        self.model = load(self.folder, settings)
        require_vocabulary(self.model, self.tokenizer, settings.model)
        self.end_ids = chat_template.end_token_ids(self.tokenizer, self.model.generation_config.eos_token_id)
        _reset_generation_config(self.model)

    @cached_property
    def hidden_ids(self) -> list[int] | None:
        """The special tokens that are left out of texts if some special tokens are tags of thinking, which are kept.

        Without its tags, thinking could not be told from the answer. None if no special token is such a tag.
        """
        special = dict(zip(self.tokenizer.all_special_ids, self.tokenizer.all_special_tokens, strict=True))
        added = self.tokenizer.added_tokens_decoder.items()
        special |= {number: str(token) for number, token in added if token.special}
        hidden = sorted(number for number, token in special.items() if not is_thinking_tag(token))
        return hidden if len(hidden) < len(special) else None

    @cached_property
    def writes_channels(self) -> bool:
        """Whether the model writes the channels of the harmony format: without these tokens nothing is final."""
        return set(CHANNEL_TOKENS) <= set(self.tokenizer.all_special_tokens) | set(self.tokenizer.get_added_vocab())

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the checkpoint's files."""
        return checkpoint.compute_digest(self.folder)

    @property
    def backend_settings(self) -> dict[str, Any]:
        """The precision of the weights, whether thinking is kept in the text, and the recipe's chat template."""
        precision = {"precision": str(self.model.dtype).removeprefix("torch.")}
        kept = {} if self.settings.thinking == "split" else {"thinking": self.settings.thinking}
        return precision | kept | chat_template.template_settings(self.settings.chat_template)

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
        verdict_tokens = prompt_format.verdict_tokens
        ids: TokenIds = ([], [])
        if verdict_tokens is not None:
            ids = token_probability.verdict_token_ids(verdict_tokens, self.tokenizer)
        model = f"{self.digest} {self.model.dtype} {self.model.device.type} {self.settings.thinking}"
        settings = generation_cache.settings_key(model, sampling, prompt_format)
        stored = generation_cache.read_answers(folder, settings, [row.key for row in rows])
        known = set(stored["row_key"])
        answers = [failed, stored]
        with bar(len(rows), label, "answers") as progress:
            progress.update(stored.height)
            for batch in self.plan_batches(rows, sampling):
                missing = [row for row in batch if row.key not in known]
                if missing:
                    answered = self._answer(missing, sampling, prompt_format, ids)
                    keys = [row.key for row in missing]
                    answers.append(generation_cache.write_batch(folder, settings, keys, answered))
                    progress.update(len(missing))
        return generation_cache.concat_batches(answers)

    def clip(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """Return ``texts``, each cut after ``max_tokens`` tokens; see ``protocol.Generator``."""
        return chat_template.clip_texts(self.tokenizer, texts, max_tokens)

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
        for request_id, content, text, ids, note in zip(
            requests["request_id"], contents, texts, tokens, notes, strict=True
        ):
            if 0 < len(ids) < self.max_positions:
                keys = [generation_cache.row_key(request_id, number, text) for number in range(samples)]
                opened = column == "messages" and opens_thinking(text, content[-1]["content"])
                rows += [Row(request_id, number, key, ids, note, opened) for number, key in enumerate(keys)]
            else:
                reason = f"the request has {len(ids)} tokens; the model holds {self.max_positions} with the answer"
                failed += [_failed_row(request_id, n, reason) for n in range(samples)]
        return rows, pl.DataFrame(failed, ANSWER_SCHEMA, orient="row")

    def plan_batches(self, rows: Sequence[Row], sampling: Sampling) -> list[list[Row]]:
        """Return ``rows`` in batches of similar length and one limit of tokens, within the settings' limits."""
        by_limit: dict[int, list[Row]] = {}
        for row in rows:
            by_limit.setdefault(self.token_limit(len(row.tokens), sampling), []).append(row)
        batches = []
        for limit, group in sorted(by_limit.items()):
            lengths = np.array([len(row.tokens) for row in group], np.int64)
            plan = generation_cache.plan_batches(
                lengths, limit, self.settings.max_batch_tokens, self.settings.max_batch_rows
            )
            batches += [[group[number] for number in batch] for batch in plan]
        return batches

    def token_limit(self, request_tokens: int, sampling: Sampling) -> int:
        """Return the most tokens of the answer to a request, which depends on this request alone.

        It is ``max_new_tokens`` if the model has positions for so many. Else it is what the model has left, rounded
        down to a multiple of 64 if it is as much, so that requests of similar length are generated together.
        """
        room = self.max_positions - request_tokens
        if room >= sampling.max_new_tokens:
            return sampling.max_new_tokens
        return room // ROOM_STEP * ROOM_STEP if room >= ROOM_STEP else room

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
        limit = self.token_limit(width, sampling)
        recorder, sampler = self._create_recorder(verdict_ids), self._create_sampler(batch, sampling, limit, width)
        with torch.inference_mode():
            try:
                generated = self.model.generate(
                    input_ids=torch.from_numpy(ids).to(self.model.device),
                    attention_mask=torch.from_numpy(mask).to(self.model.device),
                    logits_processor=[recorder, sampler] if recorder else [sampler],
                    do_sample=False,
                    past_key_values=prompt_cache.read_requests_once(self.model, ids, mask),
                    max_new_tokens=limit,
                    eos_token_id=self.end_ids or None,
                    pad_token_id=self.tokenizer.pad_token_id or 0,
                )
            except torch.OutOfMemoryError as problem:
                raise SeasDataError(
                    f"memory ran out for {self.name} with a batch of {len(batch)} rows of {width} tokens and their "
                    f"answers; lower max_batch_tokens ({self.settings.max_batch_tokens})"
                ) from problem
        sampler.require_numbers(self.name)
        answers = generated[:, width:].cpu().numpy()
        ended = np.isin(answers, self.end_ids)
        tokens = np.where(ended.any(1), ended.argmax(1), answers.shape[1])
        texts = [self._decode(answer[:count]) for answer, count in zip(answers, tokens, strict=True)]
        splits = [split_thinking(text, opened=row.opened) for row, text in zip(batch, texts, strict=True)]
        scores: list[float | None] = [None] * len(batch)
        if recorder is not None and prompt_format.verdict_tokens is not None:
            scores = token_probability.compute_scores(
                prompt_format.verdict_tokens,
                self._decode,
                answers,
                [split.start for split in splits],
                torch.stack(recorder.steps, 1).double().cpu().numpy(),
                {*verdict_ids[0], *verdict_ids[1]},
            )
        keep = self.settings.thinking == "keep"
        parts = [Split(text) for text in texts] if keep else splits
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

    def _decode(self, ids: NDArray[np.int64]) -> str:
        """Return the text of generated tokens: without special tokens, except those that mark thinking."""
        if self.hidden_ids is not None and not self.writes_channels:
            ids = ids[~np.isin(ids, self.hidden_ids)]
        whole = self.writes_channels or self.hidden_ids is not None
        return str(self.tokenizer.decode(ids, skip_special_tokens=not whole))

    def _create_recorder(self, verdict_ids: TokenIds) -> token_probability.ProbabilityRecorder | None:
        import torch

        if not all(verdict_ids):
            return None
        unsafe, safe = (torch.tensor(ids, device=self.model.device) for ids in verdict_ids)
        return token_probability.ProbabilityRecorder(unsafe, safe)

    def _create_sampler(self, batch: Sequence[Row], sampling: Sampling, limit: int, width: int) -> NumberCheck:
        """Return the sampler of a batch whose requests are ``width`` tokens long; a check alone if nothing is drawn."""
        import torch

        if sampling.temperature == 0:
            return NumberCheck()
        uniforms = draw_uniforms(sampling, [row.key for row in batch], limit)
        return TokenSampler(sampling, torch.from_numpy(uniforms).to(self.model.device), width)


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
