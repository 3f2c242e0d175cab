"""Answers: rendered, guarded, queued in the outbox and sent through the relay."""
