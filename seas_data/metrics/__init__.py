"""Metrics: shares with their intervals, and the rows of the table ``metrics``."""
