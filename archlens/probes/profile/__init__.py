"""Time and memory of the live network, against what the device can do."""
