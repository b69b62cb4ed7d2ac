"""The networks published with DeepCell in 2016."""
