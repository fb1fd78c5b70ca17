"""Derived from a graph alone, without torch: what may be seen, what is used, how a network is built."""
