"""Component networks of two techniques on SYNTHETIC mixtures of one composition each, fused early and late."""
