"""Scores of predictions for rows that a fit has not seen: splits, predictions, scores, and a runner that resumes."""
