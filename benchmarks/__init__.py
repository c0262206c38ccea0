"""Benchmarks against peers in the same run; not tests: nothing here passes or fails."""
