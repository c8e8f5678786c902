"""The page of ``review --serve``: one item at a time, on this machine only; every decision is on disk when it counts.

forms       what a reviewer is asked, by kind of sheet
session     the sheet that a person fills in: decisions, undo, filters, progress
items       what is shown of a prompt or a response
neighbours  the prompts most similar to an item
matches     the rows that pass a filter
marks       texts with hidden characters made visible
guard       who may talk to the server: token, cookie, host, origin
app         the addresses and the page
serve       the server process
"""
