"""The networks of the lineage, one file a paper: read from top to bottom."""
