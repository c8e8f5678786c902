"""Curation of prompts: one module per step, each a pure function on frames; ``pipeline`` runs them in order."""
