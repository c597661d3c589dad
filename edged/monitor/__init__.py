"""Whether an instrument or a product still is what it was: control charts on every accepted result."""
