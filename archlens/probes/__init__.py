"""Measurements on the live network: all of them run it."""
