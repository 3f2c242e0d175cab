"""What the suites of others say of us: (set, as expected, of how many, note), printed at the end of a run."""

SCORES: list[tuple[str, int, int, str]] = []
