"""The configuration's whole vocabulary: the words, where each was written, and every mistake at once."""
