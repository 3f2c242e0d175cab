"""The measurements that the docs quote. They may import ``tests.peers``, ``tests.stories`` and ``tests.measures``; no test imports them."""
