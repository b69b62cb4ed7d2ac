"""How masks differ by number: tables of scores, the confusion matrix, objects, and scores against the IoU threshold."""
