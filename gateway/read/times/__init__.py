"""When a problem began."""
