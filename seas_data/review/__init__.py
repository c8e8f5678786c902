"""Human review: sheets to fill in, gold verdicts, and the quality of judges measured against them."""
