"""The health of this machine and of the service on it; with ``tickets/health.py`` the one list that ``gateway status``,
``/readyz``, the metrics and the alerts to staff are made of."""
