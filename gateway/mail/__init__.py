"""The octets of a mail, read one way only: header fields, charsets, addresses, the tokens that we write into them, and
the marks by which our own mail is known."""
