"""Sample images with small trained models, so that nobody needs a model to try the plugin."""
