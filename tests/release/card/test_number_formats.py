from seas_data.release.card import number_formats


def test_proportions_are_percentages_with_their_interval() -> None:
    assert number_formats.percent(0.1234) == "12.3 %"
    assert number_formats.percent(None) == "–"
    assert number_formats.percent_interval({"value": 0.5, "low": 0.25, "high": 1.0}) == "50.0 % (25.0–100.0)"
    assert number_formats.percent_interval({"value": 0.5, "low": None, "high": None}) == "50.0 %"
