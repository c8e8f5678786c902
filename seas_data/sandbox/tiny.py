"""Models of the sandbox: untrained Llama models with a few hundred thousand weights, and a word-level tokenizer.

They are saved as ordinary model folders with a chat template, so training, generation and serving load them with the
same code as real models. The tokenizer splits at white space: an unknown word is ``<unk>``, and decoded texts have one
space between words.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from seas_data import progress
from seas_data.sandbox.phrases import list_words

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
"""Every message ends with ``<end>``, the EOS token. The tokens of a conversation start with those of its prefixes."""
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

    Input and output embeddings are tied. ``vocabulary``: the words of the tokenizer; by default those of the sandbox.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokens = [*SPECIAL, *(list_words() if vocabulary is None else vocabulary)]
    ids = {token: number for number, token in enumerate(tokens)}
    config = LlamaConfig(
        vocab_size=len(tokens),
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
    with progress.hide_library_bars():
        model.save_pretrained(folder)
        _make_tokenizer(ids, positions).save_pretrained(folder)


def _make_tokenizer(ids: dict[str, int], positions: int) -> "PreTrainedTokenizerFast":
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
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
