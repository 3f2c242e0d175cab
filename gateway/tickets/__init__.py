"""Tickets: what becomes of a mail (policy, desk), their threads, clock, people, search and reports."""
