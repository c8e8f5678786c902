"""The Hub: push a version or a model, and pull a version."""
