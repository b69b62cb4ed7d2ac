"""Qt building blocks of the docks and dialogs; they know nothing of models and runs."""
