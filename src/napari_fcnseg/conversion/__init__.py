"""Patch network to dense network: one pure rule per operation, no framework."""

from napari_fcnseg.conversion.converter import convert_network, layer_values
from napari_fcnseg.conversion.dense_network import DenseNetwork
from napari_fcnseg.conversion.report import ConversionReport, LayerReport

__all__ = ["ConversionReport", "DenseNetwork", "LayerReport", "convert_network", "layer_values"]
