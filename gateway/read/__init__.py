"""What the octets of a mail tell by themselves."""
