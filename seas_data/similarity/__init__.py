"""Similarity of prompts: by characters (shingles, MinHash, containment) and by meaning (embeddings, cosine)."""
