"""Context modules that more than one network shares."""
