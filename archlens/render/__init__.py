"""Draws and writes results; derives nothing."""
