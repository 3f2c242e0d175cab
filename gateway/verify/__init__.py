"""Finds out who wrote a mail. Checks report; policy decides."""
