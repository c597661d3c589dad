"""What a bundle tells of itself: its report, with criteria, known limits and figures of the trial."""
