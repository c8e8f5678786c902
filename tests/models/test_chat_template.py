import json
from pathlib import Path

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from seas_data.errors import SeasDataError
from seas_data.models import chat_template
from seas_data.models.protocol import PromptFormat

ASKED = [[{"role": "user", "content": "what colour"}], [{"role": "user", "content": "the door"}]]


@pytest.fixture
def tokenizer(tiny: Path) -> PreTrainedTokenizerFast:
    loaded = chat_template.load_tokenizer(str(tiny))
    assert isinstance(loaded, PreTrainedTokenizerFast)
    return loaded


def test_conversations_are_rendered_by_the_models_template_or_the_recipes(tiny: Path, tmp_path: Path) -> None:
    own = chat_template.render_conversations(chat_template.load_tokenizer(str(tiny)), ASKED, PromptFormat())
    assert own == ["<begin> <user> what colour <end> <assistant> ", "<begin> <user> the door <end> <assistant> "]

    template = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}{% endfor %} {{ extra }}"
    file = tmp_path / "mine.jinja"
    file.write_text(template)
    for setting in (template, str(file)):
        tokenizer = chat_template.load_tokenizer(str(tiny), template=setting)
        assert (
            chat_template.render_conversations(tokenizer, ASKED, PromptFormat(template_kwargs={"extra": "yes"}))[0]
            == "user: what colour yes"
        )


def test_loading_details_are_not_saved_with_a_tokenizer(tiny: Path, tmp_path: Path) -> None:
    chat_template.load_tokenizer(str(tiny)).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert not {"local_files_only", "is_local"} & set(saved)


def test_contents_are_rendered_as_typed_parts(tiny: Path) -> None:
    tokenizer = chat_template.load_tokenizer(str(tiny), template="{{ messages[0]['content'][0]['text'] }}")
    assert chat_template.render_conversations(tokenizer, ASKED, PromptFormat(typed_content=True)) == [
        "what colour",
        "the door",
    ]


def test_a_missing_and_a_rejecting_template_are_reported(tiny: Path, tmp_path: Path) -> None:
    tokenizer = chat_template.load_tokenizer(str(tiny))
    tokenizer.chat_template = None
    with pytest.raises(SeasDataError, match="set chat_template"):
        chat_template.render_conversations(tokenizer, ASKED, PromptFormat())
    refusing = chat_template.load_tokenizer(str(tiny), template="{{ raise_exception('one turn only') }}")
    with pytest.raises(SeasDataError, match="one turn only"):
        chat_template.render_conversations(refusing, ASKED, PromptFormat())
    with pytest.raises(SeasDataError, match="cannot be read"):
        chat_template.load_tokenizer(str(tiny), template=str(tmp_path / "missing.jinja"))


def test_bos_is_removed_only_if_the_tokenizer_adds_it(tokenizer: PreTrainedTokenizerFast) -> None:
    assert chat_template.strip_bos(tokenizer, "<begin> the door") == "<begin> the door"
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<begin> $A", special_tokens=[("<begin>", tokenizer.bos_token_id)]
    )
    assert chat_template.strip_bos(tokenizer, "<begin> the door") == "the door"
    assert chat_template.strip_bos(tokenizer, "the <begin> door") == "the <begin> door"


def test_an_answer_ends_with_the_end_token_of_the_template(tiny: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    end = tokenizer.convert_tokens_to_ids("<end>")
    turn = tokenizer.convert_tokens_to_ids("<user>")
    assert chat_template.end_token_ids(tokenizer, None) == [end]
    assert chat_template.end_token_ids(tokenizer, [7, 9]) == [end, 7, 9] == sorted([end, 7, 9])

    own = "{% for m in messages %}{{ m['content'] + ' <user> ' }}{% endfor %}"
    assert chat_template.end_token_ids(chat_template.load_tokenizer(str(tiny), template=own), None) == sorted(
        [end, turn]
    )
    word = "{% for m in messages %}{{ m['content'] + ' the ' }}{% endfor %}"
    assert chat_template.end_token_ids(chat_template.load_tokenizer(str(tiny), template=word), None) == [end], (
        "a plain word ends nothing"
    )
    refusing = chat_template.load_tokenizer(str(tiny), template="{{ raise_exception('no') }}")
    assert chat_template.end_token_ids(refusing, None) == [end]


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match="cannot be loaded"):
        chat_template.load_tokenizer(str(tmp_path))
