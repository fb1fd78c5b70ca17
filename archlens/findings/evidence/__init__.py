"""Evidence: plain numbers about one network, one file a kind. `gather` puts them together."""
