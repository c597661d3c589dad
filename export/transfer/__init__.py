"""Corrections between two instruments: fitted from samples that both measured, chosen, judged and drawn."""
