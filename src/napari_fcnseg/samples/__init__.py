"""Sample images with small trained models, so that nobody needs a model to try the plugin.

Nothing is downloaded: the tissue image comes with scikit-image, the cells are drawn, and the models are in this
package. ``tools/train_samples.py`` trained them and measured what ``models/README.md`` says about them.
"""

from __future__ import annotations

from napari_fcnseg.samples.catalogue import CELLS_SEED, CELLS_TRAINING_SEEDS, SAMPLES, Sample

__all__ = ["CELLS_SEED", "CELLS_TRAINING_SEEDS", "SAMPLES", "Sample"]
