"""Write ``seas_data/folding.json``, the Unicode tables of ``seas_data.folding``, from ICU.

Needs PyICU with an ICU of its own, such as the package icukit-pyicu. Run it only to move to another version of Unicode:
digests of texts with changed characters change, so ``folding.VERSION`` has to change, too.
"""

import json
from pathlib import Path
from typing import Any

import icu  # type: ignore[import-not-found]

OUTPUT = Path(__file__).parent.parent / "seas_data" / "folding.json"
SCRIPTS = (  # letters that can stand for Latin ones in running text
    *("Latn", "Grek", "Cyrl", "Armn", "Cher", "Copt", "Lisu", "Cans", "Dsrt", "Osge", "Goth", "Ital", "Cari", "Lyci"),
    *("Lydi", "Wara", "Elba", "Zyyy"),
)
SPOKEN_WITHOUT_BLANKS = (
    *("Hani", "Hira", "Kana", "Bopo", "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Yiii", "Lana", "Talu", "Java", "Bali"),
    *("Tavt", "Cham"),
)
INVISIBLE_FORMATS = [*range(0xFFF9, 0xFFFC), *range(0x13430, 0x13440), 0x2800]  # annotation, hieroglyphs, blank braille


def characters() -> list[str]:
    """Return all characters."""
    return [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def ranges(codes: list[int]) -> list[list[int]]:
    """Return ascending ``codes`` as ranges of first and last."""
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def is_ignorable(character: str) -> bool:
    """Return whether the character shows nothing and is no white space."""
    code = ord(character)
    control = icu.Char.charType(code) == icu.UCharCategory.CONTROL_CHAR and not character.isspace()
    default = icu.Char.hasBinaryProperty(code, icu.UProperty.DEFAULT_IGNORABLE_CODE_POINT)
    return bool(control or default or code in INVISIBLE_FORMATS)


def script(character: str) -> str:
    """Return the short name of the character's script."""
    return str(icu.Script.getScript(character).getShortName())


def look_alikes() -> dict[str, str]:
    """Return the Latin letters that other letters look like, closed under case."""
    checker = icu.SpoofChecker()
    nfc, nfd = icu.Normalizer2.getNFCInstance(), icu.Normalizer2.getNFDInstance()
    found: dict[str, str] = {}
    for character in characters():
        if character.isascii() or not icu.Char.isalpha(ord(character)) or script(character) not in SCRIPTS:
            continue
        if nfd.normalize(character)[0].isascii():  # a Latin letter with a mark
            continue
        skeleton = checker.getSkeleton(0, character)
        letters = [each for each in nfd.normalize(skeleton) if not icu.Char.getCombiningClass(ord(each))]
        latin = all((each.isascii() and each.isalpha()) or each == "ß" for each in letters) and letters
        if latin and nfc.normalize(skeleton) != character:
            upper = icu.Char.isupper(ord(character))
            # The skeleton of I is l, which loses the case.
            target = "I" if upper and skeleton == "l" else nfc.normalize(skeleton)
            found[character] = target.casefold()
    for character in characters():
        lower = character.lower()
        if character == lower or len(lower) > 1 or character.isascii():
            continue
        given = found.get(lower) or found.get(character)
        if given and not lower.isascii() and script(character) not in ("Zyyy",):
            found[lower] = found[character] = given
    return found


def main() -> None:
    """Write the tables."""
    folds = {each: str(icu.UnicodeString(each).foldCase()) for each in characters()}
    tables: dict[str, Any] = {
        "source": f"Unicode {icu.UNICODE_VERSION}, from ICU {icu.ICU_VERSION}",
        "license": "Unicode-3.0; the text is in LICENSES/Unicode-3.0.txt",
        "unicode": icu.UNICODE_VERSION,
        "ignorable": ranges([ord(each) for each in characters() if is_ignorable(each)]),
        "without_blanks": ranges([ord(each) for each in characters() if script(each) in SPOKEN_WITHOUT_BLANKS]),
        "casefold": {each: fold for each, fold in folds.items() if each != fold},
        "look_alikes": look_alikes(),
    }
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in tables.items()
    )
    OUTPUT.write_text(f"{{\n{lines}\n}}\n")


main()
