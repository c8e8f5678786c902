"""What is alike: prompts by their characters, and by their meaning through embeddings that are computed once."""
