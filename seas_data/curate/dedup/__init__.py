"""Deduplication: what is compared, which prompts are alike, and which of them is kept."""
