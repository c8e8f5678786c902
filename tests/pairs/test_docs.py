"""The example in docs/pairs.md prints what the page says."""

import contextlib
import io
import re
from pathlib import Path


def test_the_example_prints_what_the_page_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "pairs.md").read_text()
    found = re.search(r"```python\n(.*?)```\n```\n(.*?)```", page, re.DOTALL)
    assert found is not None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(found[1], {})
    assert printed.getvalue() == found[2]
