"""Takes mail in: stores it, then acknowledges it. Knows nothing of verification, tickets or replies."""
