"""Activations that an old Keras lacks are those of the Keras that has them."""

from __future__ import annotations

import _activations
import pytest

pytestmark = pytest.mark.usefixtures("keras_child")


@pytest.mark.parametrize("name", _activations.CASES)
def test_an_activation_is_that_of_keras(keras_child, name) -> None:
    apart = keras_child(_activations.differences)[name]
    if apart is None:
        pytest.skip(f"this Keras has no {name}")
    assert apart <= 2e-6
