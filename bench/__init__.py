"""The measurements that the README quotes, and the harness that runs a real daemon for them and for the tests."""
