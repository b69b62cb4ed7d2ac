"""Random patch networks as plain data, how to build them with Keras, and the proof that ours equal them."""
