"""Plots, one kind a file: first the data (plain numbers), then the figure. matplotlib is imported late."""
