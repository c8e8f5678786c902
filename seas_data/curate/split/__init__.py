"""The split: groups of prompts that must stay together, and the side each group goes to."""
