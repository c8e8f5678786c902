"""Moderation endpoints (``POST /v1/moderations``): one text a request, and the JSON of its result as the answer.

One text a request, so that a reply with fewer results than texts cannot give one text the result of another.
"""

import json
from collections.abc import Mapping
from typing import Any

from seas_data.models.http_outcomes import Choice, repair


def read_result(content: Mapping[str, Any]) -> Choice:
    """Return the one result of a reply, as JSON; a reply with none, several or something else is a failure."""
    results = content.get("results")
    if not isinstance(results, list) or not results:
        return Choice(None, "error", "a reply without results")
    if len(results) > 1:
        return Choice(None, "error", f"{len(results)} results for one text")
    if not isinstance(results[0], dict):
        return Choice(None, "error", "a result that is not an object")
    try:
        return Choice(repair(json.dumps(results[0], sort_keys=True)), "stop")
    except RecursionError:
        return Choice(None, "error", "a result that is nested too deeply")
