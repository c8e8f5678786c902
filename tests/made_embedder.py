"""A small sentence-transformers model that reads three languages: the words of one meaning have one vector.

A text and its translation, word for word, therefore have nearly the same vector. Its weights are drawn by lot.
"""

from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer, models
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

MEANINGS = """
where wo où | is steht est | how wie comment | many viele combien | the der le | in im dans | with mit avec
oven ofen four | lamp lampe lampe | key schlüssel clé | bread brot pain | flour mehl farine | salt salz sel
water wasser eau | garden garten jardin | kettle kessel bouilloire | table tisch table | window fenster fenêtre
bake backen cuire | cold kalt froid | old alt vieux | blue blau bleu | kitchen küche cuisine | door tür porte
"""
LANGUAGES = ("en", "de", "fr")
WORDS = [words.split() for line in MEANINGS.strip().splitlines() for words in line.split("|")]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def translate(text: str, language: str) -> str:
    """Return an English text of the model's words in ``language``, word for word."""
    number = LANGUAGES.index(language)
    return " ".join(next(words[number] for words in WORDS if words[0] == word) for word in text.split())


def save(folder: Path, *, prompt: str | None = None, include_prompt: bool = True, max_tokens: int = 16) -> Path:
    """Write the model to ``folder`` and return it. ``prompt``: what it puts before each text, by its own settings."""
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, "query", ":"])}
    meaning_of = dict.fromkeys(vocabulary.values(), 0)
    for meaning, words in enumerate(WORDS, start=1):
        for word in words:
            meaning_of[vocabulary.setdefault(word, len(vocabulary))] = meaning
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    network = BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=max_tokens, **sizes))
    vectors = np.random.default_rng(0).standard_normal((len(WORDS) + 1, 64)).astype(np.float32)
    with torch.no_grad():
        network.embeddings.position_embeddings.weight.mul_(0.1)
        network.embeddings.word_embeddings.weight.mul_(0.1)
        for token, meaning in meaning_of.items():
            if meaning:
                network.embeddings.word_embeddings.weight[token] = torch.from_numpy(vectors[meaning])
    inner = folder / "inner"
    network.save_pretrained(inner)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=max_tokens, **names).save_pretrained(inner)
    reader = models.Transformer(str(inner), max_seq_length=max_tokens)
    pooling = models.Pooling(64, pooling_mode="mean", include_prompt=include_prompt)
    whole = SentenceTransformer(
        modules=[reader, pooling, models.Normalize()],
        prompts={"query": prompt} if prompt else None,
        default_prompt_name="query" if prompt else None,
        device="cpu",
    )
    whole.save(str(folder / "model"), create_model_card=False)
    return folder / "model"
