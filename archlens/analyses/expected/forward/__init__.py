"""What activations of random weights look like, node by node, from the image to the outputs."""
