"""Reads what a mail says: new words, language, facts, topics."""
