"""Runs of the whole service that end in invariants: short ones are tests, long ones are benches."""
