"""Experiments on the method: ablations, and checks on why it should work."""
