"""The inbound e-mail-to-ticket gateway for a hosting company's support address."""

__version__ = "0.1.0"
