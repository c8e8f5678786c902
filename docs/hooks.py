"""A hook of MkDocs: links that leave docs/ lead to files of the checkout, which the site does not have."""

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]*)\]\((?:\.\./)+(?!\w+\.md|tutorials/|howto/|reference/)[^)]*\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each link to a file outside docs/ by its text."""
    return _OUTSIDE.sub(r"\1", markdown)
