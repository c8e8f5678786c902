"""Curation: one file a step, each a pure function on frames that returns what it keeps and why it dropped the rest."""
