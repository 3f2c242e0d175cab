"""Counters, gauges and histograms. No address and no domain ever becomes a label."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)

ACCEPTED = Counter("gateway_accepted_total", "Mails stored and acknowledged", ["source", "new"], registry=REGISTRY)
REFUSED = Counter("gateway_refused_total", "Replies of class 4 and 5 to peers", ["code"], registry=REGISTRY)
CONNECTIONS = Gauge("gateway_connections", "Open mail sessions", registry=REGISTRY)
CONNECTIONS_LIMIT = Gauge("gateway_connections_limit", "Most mail sessions at once", registry=REGISTRY)
IN_FLIGHT = Gauge("gateway_in_flight_octets", "Octets of mails being received, or not stored yet", registry=REGISTRY)
IN_FLIGHT_LIMIT = Gauge("gateway_in_flight_limit_octets", "Most octets in flight at once", registry=REGISTRY)
OVERDUE = Counter("gateway_overdue_total", "Sessions ended by a deadline", ["what"], registry=REGISTRY)
GAVE_WAY = Counter("gateway_gave_way_total", "Slow sessions ended for others", registry=REGISTRY)
DECIDED = Counter("gateway_decided_total", "Outcomes", ["disposition", "trust"], registry=REGISTRY)
PARKED = Counter("gateway_parked_total", "Mails set aside as failed", registry=REGISTRY)
REPLIES = Counter("gateway_replies_total", "Outbox outcomes", ["template", "outcome"], registry=REGISTRY)
DUPLICATE_SENDS = Counter("gateway_resent_total", "Replies sent again after a lost mark", registry=REGISTRY)
READER_KILLS = Counter("gateway_reader_kills_total", "Reader processes ended", registry=REGISTRY)
LATE = Counter("gateway_clock_total", "Clock events", ["what"], registry=REGISTRY)
COMMIT = Histogram("gateway_commit_seconds", "Wall time of a database commit", buckets=_SECONDS, registry=REGISTRY)
DATABASE_UP = Gauge(
    "gateway_database_up", "1 while the database answers; without it the queues are old", registry=REGISTRY
)
GROUP = Histogram("gateway_commit_group", "Writes in a commit", buckets=(1, 2, 4, 8, 16, 32, 64), registry=REGISTRY)
PROCESS = Histogram("gateway_process_seconds", "Claim to commit", buckets=_SECONDS, registry=REGISTRY)
STAGE_CPU = Counter("gateway_stage_cpu_seconds", "CPU seconds by stage", ["stage"], registry=REGISTRY)
LOOP_LAG = Gauge("gateway_loop_lag_seconds", "Last measured delay of the event loop", registry=REGISTRY)
RELOADS = Counter("gateway_reloads_total", "Reloads", ["result"], registry=REGISTRY)
QUEUE = Gauge("gateway_queue", "Rows by queue and state", ["queue", "state"], registry=REGISTRY)
PURGED = Counter("gateway_purged_total", "Rows removed because their time was over", ["kind"], registry=REGISTRY)
OLDEST_PENDING = Gauge("gateway_oldest_pending_seconds", "Age of the oldest mail not decided", registry=REGISTRY)
DIRECTORY_AGE = Gauge("gateway_directory_age_seconds", "Age of the account directory", registry=REGISTRY)
RELAY_UP = Gauge("gateway_relay_up", "0 while replies wait for the relay", registry=REGISTRY)
RELAY_UP.set(1)
PROBLEM = Gauge(
    "gateway_problem", "1 while this health check finds a problem (gateway status)", ["check"], registry=REGISTRY
)
READY = Gauge("gateway_ready", "1 while mail is taken and worked on", registry=REGISTRY)
BUILD = Gauge("gateway_build_info", "1, with the release", ["version", "schema", "python"], registry=REGISTRY)
NODE = Gauge("gateway_node_info", "1, with this node's name and roles", ["node", "roles"], registry=REGISTRY)
LISTENING = Gauge("gateway_listening", "1 while this node hears the others at once (PostgreSQL)", registry=REGISTRY)
HEARD = Counter(
    "gateway_heard_total", "Times that another node said that something waits", ["channel"], registry=REGISTRY
)
STARTED = Gauge("gateway_start_time_seconds", "When the service started", registry=REGISTRY)
DISK_FREE = Gauge("gateway_disk_free_octets", "Room in the state directory", registry=REGISTRY)
CERTIFICATE_EXPIRY = Gauge(
    "gateway_certificate_expiry_timestamp_seconds", "When our certificate ends; 0 without one", registry=REGISTRY
)
TICKETS = Gauge("gateway_tickets", "Tickets by state, counted up to 10000", ["state"], registry=REGISTRY)
SILENT = Counter("gateway_silent_total", "Mails of people without an acknowledgement", ["reason"], registry=REGISTRY)
FIRST_RESPONSE = Histogram(
    "gateway_first_response_seconds", "From a ticket to a person's first answer",
    buckets=(60, 300, 600, 900, 1200, 1500, 1800, 3600, 7200, 14400, 86400), registry=REGISTRY,
)  # fmt: skip
CANARY_SENT = Gauge("gateway_canary_sent_timestamp_seconds", "When the last probe mail went out", registry=REGISTRY)
CANARY_BACK = Gauge("gateway_canary_back_timestamp_seconds", "When the last probe mail came back", registry=REGISTRY)
CANARY_TOOK = Gauge("gateway_canary_seconds", "How long the last probe mail was on its way", registry=REGISTRY)
USUAL = Gauge(
    "gateway_usual_mails", "Mails of the last hour: as many came, and as many are usual", ["which"], registry=REGISTRY
)

SOURCE_UP = Gauge("gateway_source_connected", "1 while a mailbox is connected", ["source"], registry=REGISTRY)
SOURCE_READ = Gauge(
    "gateway_source_read_timestamp_seconds", "When a mailbox was last read to the end", ["source"], registry=REGISTRY
)
SOURCE_LAG = Gauge("gateway_source_lag", "Mails on the server that are not stored yet", ["source"], registry=REGISTRY)
SOURCE_TOKEN = Gauge(
    "gateway_source_token_expiry_timestamp_seconds", "When the access token expires", ["source"], registry=REGISTRY
)


def exposition() -> bytes:
    """The text exposition of every metric."""
    return generate_latest(REGISTRY)
