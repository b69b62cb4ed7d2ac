"""What a comparison found, for people: definitions of the scores, plots, pictures, an HTML page."""
