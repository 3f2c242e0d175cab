"""What the service talks to, real and on loopback: mail systems, databases, nameservers, and the service itself in a process of its own.
Tests and benches start them."""
