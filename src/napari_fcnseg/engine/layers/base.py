"""The base of all layers."""

from __future__ import annotations

import keras

#: Lets Keras find a layer again in a file that was saved.
register = keras.saving.register_keras_serializable(package="napari_fcnseg")
