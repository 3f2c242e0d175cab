"""The measurements that the docs quote, and the harness that runs a real daemon for them and for the tests."""
