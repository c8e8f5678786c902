"""Templates: fixed wrappers around a changing request, detected in the data, and the requests they share."""
