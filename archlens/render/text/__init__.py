"""Results as tables, sentences and the formats that other programs read."""
