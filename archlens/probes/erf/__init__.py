"""Effective fields measured on the live network: by gradients, and by occlusion."""
