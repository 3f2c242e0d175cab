"""Tickets: the tables, the one store, the references, the threads, the policy and the clock."""
