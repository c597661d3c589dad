"""The public tablets: every network and tuned classical model, on random splits and with batches kept together."""
