"""Our own database: the store, the tables, and the rows of inbox and originals. Nobody else opens a session on it."""
