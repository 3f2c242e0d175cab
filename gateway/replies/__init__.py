"""Answers: rendered, queued in the outbox and sent through the relay."""
