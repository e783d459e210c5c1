"""Experiments on the method: ablation studies, and checks on why it should work."""
