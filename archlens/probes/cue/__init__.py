"""The cue experiment: what a network learns to use, told by training a copy of it to name a distant cue."""
