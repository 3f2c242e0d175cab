"""Secrets in a mail: found, and masked in all that leaves the original."""
