"""The document of record: an append-only, hash-chained journal, and the outbox of what is still to be sent."""
