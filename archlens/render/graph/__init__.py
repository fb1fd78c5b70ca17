"""The network as a picture: folded, laid out, coloured."""
