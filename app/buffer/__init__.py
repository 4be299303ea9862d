"""The buffer in front of PostgreSQL: a replicated stream of NATS JetStream."""
