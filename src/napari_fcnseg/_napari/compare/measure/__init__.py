"""Scores of masks: tables of scores, the confusion matrix, objects, and scores against the IoU threshold."""
