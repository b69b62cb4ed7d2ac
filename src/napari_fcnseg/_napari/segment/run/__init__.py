"""The run step of the dock: region, settings, forecast, and the run in a worker."""
