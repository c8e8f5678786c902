"""Readers of the logs of red-team tools: what was attacked, what the target answered, how judges judged it."""
