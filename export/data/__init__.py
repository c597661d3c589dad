"""What a model learns from: spectra with their labels, the split that keeps blocks together, and physical
augmentation."""
