"""Weights in and out: formats of other systems, one a file."""
