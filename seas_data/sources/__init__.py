"""Readers: a source of a recipe in, prompts and set-aside rows out."""
