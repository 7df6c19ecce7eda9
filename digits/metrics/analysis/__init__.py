"""What an evaluation tells beyond its metrics: curves, calibration, kinds of errors, outlines, residuals, intervals."""
