"""The life of one instrument: its thread, its recovery, its white reference, and the readings it gives."""
