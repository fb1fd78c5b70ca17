"""archlens' own numbers held against what the live network does."""
