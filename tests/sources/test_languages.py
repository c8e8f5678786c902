"""Languages: stated ones are normalised or refused, missing ones detected, and stated ones checked if asked."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from seas_data import sources
from seas_data.recipe import Embedder, Source
from seas_data.recipe.languages import normalize_language
from seas_data.sources.languages import LANGUAGES

GREETINGS = {
    "en": "Which of the five doors in the garden is green, and who has the key to it?",
    "zh": "花园里的五扇门中哪一扇是绿色的，谁有它的钥匙？",
    "it": "Quale delle cinque porte del giardino è verde, e chi ha la chiave?",
    "vi": "Cánh cửa nào trong năm cánh cửa ở khu vườn có màu xanh, và ai giữ chìa khóa?",
    "ar": "أي من الأبواب الخمسة في الحديقة أخضر، ومن يملك المفتاح؟",
    "ko": "정원에 있는 다섯 개의 문 중 어느 것이 초록색이고 누가 열쇠를 가지고 있나요?",
    "th": "ประตูบานไหนในห้าบานในสวนเป็นสีเขียว และใครมีกุญแจ",
    "bn": "বাগানের পাঁচটি দরজার মধ্যে কোনটি সবুজ এবং কার কাছে চাবি আছে?",
    "sw": "Ni mlango gani kati ya milango mitano ya bustani ni wa kijani, na nani ana ufunguo wake?",
    "jv": "Lawang endi saka limang lawang ing kebon sing wernane ijo, lan sapa sing nduweni kuncine?",
}


def read(tmp_path: Path, rows: list[dict[str, str]], **keys: object) -> sources.SourceRows:
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return sources.read_source("set", Source(path=str(path), kind="general", **keys))


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        *[(each, "en") for each in ("en", "EN", " en ", "en-US", "en_US", "eng", "English", "english")],
        *[(each, "zh") for each in ("zh-Hant", "zho", "chi", "cmn", "Chinese", "Mandarin")],
        *[(each, "jv") for each in ("jv", "jav", "Javanese")],
        *[(each, "sw") for each in ("swa", "Swahili")],
        ("ger", "de"),
        ("kor", "ko"),
        ("Bengali", "bn"),
        ("pcm", "pcm"),
        *[(each, None) for each in ("", "und", "unknown", "mul", "N/A")],
    ],
)
def test_language_is_normalised(stated: str, code: str | None) -> None:
    assert normalize_language(stated) == code


@pytest.mark.parametrize("stated", ["xx", "no such tongue", "e" * 10_000, "\ud800", "12", "en-", "-", "x-own", "en,fr"])
def test_language_that_is_none_is_refused(stated: str) -> None:
    with pytest.raises(ValueError, match="is not a language; give a code such as en"):
        normalize_language(stated)


def test_language_of_a_recipe_is_normalised_or_refused() -> None:
    assert Source(path="a.jsonl", kind="general", language="English").language == "en"
    with pytest.raises(ValidationError, match="'xx' is not a language"):
        Source(path="a.jsonl", kind="general", language="xx")


def test_language_of_a_row_is_normalised_or_the_row_is_set_aside(tmp_path: Path) -> None:
    stated = ["eng", "en-GB", "English", "xx"]
    rows = [{"prompt": f"Which door is number {n}?", "l": each} for n, each in enumerate(stated)]
    found = read(tmp_path, rows, columns={"language": "l"})
    assert found.prompts["language"].to_list() == ["en"] * 3
    assert found.set_aside.select("reason", "detail").rows() == [
        ("unknown_language", "xx is not a language; it should be a code such as en")
    ]


def test_missing_language_is_detected(tmp_path: Path) -> None:
    assert set(GREETINGS) <= LANGUAGES
    found = read(tmp_path, [{"prompt": text} for text in [*GREETINGS.values(), "🔑🔑", "1 2 3"]])
    assert found.prompts["language"].to_list() == [*GREETINGS, None, None]
    assert (found.detected, found.corrected) == (10, 0)


def test_stated_language_is_not_checked_unless_asked(tmp_path: Path) -> None:
    rows = [{"prompt": text} for text in GREETINGS.values()]
    found = read(tmp_path, rows, language="en")
    assert set(found.prompts["language"]) == {"en"}
    assert (found.detected, found.corrected) == (0, 0)
    found = read(tmp_path, rows, language="en", check_language=True)
    assert found.prompts["language"].to_list() == list(GREETINGS)
    assert (found.detected, found.corrected) == (0, 9)


def test_languages_of_an_embedder_are_normalised_or_refused() -> None:
    assert Embedder(languages=["English", "zho", "de-AT"]).languages == ["en", "zh", "de"]
    with pytest.raises(ValidationError, match="'xx' is not a language"):
        Embedder(languages=["xx"])
