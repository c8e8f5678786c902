"""Privacy: personal data and secrets in what a release holds."""
