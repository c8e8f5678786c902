"""The train/test split: build groups, assign them to splits, find later rows that would leak, check the result."""
