"""A version made ready for others: the folder that tools of the ecosystem open."""
