"""What a bundle tells of itself: criteria stated before the trial, figures with intervals, known limits, the report."""
