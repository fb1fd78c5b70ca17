"""The field of one unit, by any of four methods, as one kind of result."""
