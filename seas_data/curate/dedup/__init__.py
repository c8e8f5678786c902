"""Deduplication: collect the items to compare, find edges between similar ones, select the rows to keep."""
