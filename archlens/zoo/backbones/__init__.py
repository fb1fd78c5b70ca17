"""Trunks: feature extractors without a classifier."""
