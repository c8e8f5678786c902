"""What a text's shingles are, in two lines."""

from seas_data.text import normalise


def grams(text: str) -> set[str]:
    text = normalise(text)
    return {text[at : at + 5] for at in range(max(1, len(text) - 4))}


def similarity(one: str, other: str) -> float:
    return len(grams(one) & grams(other)) / len(grams(one) | grams(other))
