"""Read: the octets of a mail as values, whatever program wrote them. Never raises, bounded in time and memory."""
