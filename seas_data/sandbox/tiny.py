"""The sandbox's models: a word-level tokenizer and Llama models of a few hundred thousand weights, untrained.

They are saved as model folders like any other, with a chat template, so that training, generation and serving load
them with the code that loads real ones. The tokenizer splits at white space alone: a word that is not of the world is
``<unk>``, and what is decoded has one blank between words.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from seas_data import progress
from seas_data.sandbox.phrases import words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN, BEGIN, USER, ASSISTANT, END = "<pad>", "<unk>", "<begin>", "<user>", "<assistant>", "<end>"
SPECIAL: Final = (PAD, UNKNOWN, BEGIN, USER, ASSISTANT, END)
CHAT_TEMPLATE: Final = (
    "{{ '<begin> ' }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ '<assistant> ' }}{% generation %}{{ message['content'] + ' <end> ' }}{% endgeneration %}"
    "{% else %}{{ '<user> ' + message['content'] + ' <end> ' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant> ' }}{% endif %}"
)
"""A conversation's tokens start with those of each of its beginnings. Every turn ends in ``<end>``, the EOS token."""
LAYERS: Final = {"target": 2, "red": 3}


def write_model(
    folder: Path,
    *,
    layers: int,
    seed: int,
    hidden: int = 96,
    heads: int = 4,
    intermediate: int = 288,
    positions: int = 512,
    vocabulary: list[str] | None = None,
) -> None:
    """Write an untrained Llama model and its tokenizer to ``folder``; the same ``seed`` gives the same weights.

    Input and output embeddings are tied. ``vocabulary``: the words it knows; by default those of the sandbox.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    known = [*SPECIAL, *(words() if vocabulary is None else vocabulary)]
    ids = {token: number for number, token in enumerate(known)}
    config = LlamaConfig(
        vocab_size=len(known),
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        bos_token_id=ids[BEGIN],
        eos_token_id=ids[END],
        pad_token_id=ids[PAD],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    with progress.libraries_quiet():
        model.save_pretrained(folder)
        _tokenizer(ids, positions).save_pretrained(folder)


def _tokenizer(ids: dict[str, int], positions: int) -> "PreTrainedTokenizerFast":
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    inside = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    inside.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inside,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        additional_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        model_max_length=positions,
        clean_up_tokenization_spaces=False,
    )
