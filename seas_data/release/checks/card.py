"""Check ``card``: the stored card is current."""

from seas_data.release.checks.check import Candidate, Check, Finding, Phase


def find_card_differences(candidate: Candidate) -> Finding:
    """Find lines of the stored card that differ from a newly generated one, which names the waived checks."""
    if candidate.card is None:
        return Finding((), "no card was given; push generates it")
    from seas_data.release import card

    current = card.dataset_card(candidate.version, candidate.profile, candidate.waivers)
    lines = card.differences(candidate.card, current)
    failed = "the card is out of date; generate it again with seas-data card"
    return Finding(tuple(lines), failed if lines else "the card is up to date")


CHECK = Check(
    "The stored card matches the version.",
    find_card_differences,
    position=130,
    phase=Phase.CARD,
)
