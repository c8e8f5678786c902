"""Templates: fixed wrappers around a changing request, found from the data."""
