"""What bioimageio.core makes of packages, in a process of its own: it brings ONNX Runtime with it.

Called with the name of a JSON file: for each package its path, an image as ``.npy``, and where the answers go.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from bioimageio.core import Sample, Tensor, create_prediction_pipeline, load_model_description, test_model


def main(orders: Path) -> None:
    """Test each package, and predict its image whole and in tiles."""
    found = []
    for order in json.loads(orders.read_text()):
        model = load_model_description(order["package"])
        valid = model.validation_summary
        warned = [warning.msg for detail in valid.details for warning in detail.warnings]
        summary = test_model(model)
        pipeline = create_prediction_pipeline(model)
        [source], [answer] = model.inputs, model.outputs
        axes = [axis.id for axis in source.axes]

        def sample(order=order, source=source, axes=axes) -> Sample:
            image = np.load(order["image"])[None]
            return Sample(members={source.id: Tensor(image, dims=axes)}, stat={}, id=None)

        whole = pipeline.predict_sample_without_blocking(sample())
        tiled = pipeline.predict_sample_with_blocking(sample(), ns=order["tile"])
        np.save(order["whole"], whole.members[answer.id].to_numpy()[0])
        np.save(order["tiled"], tiled.members[answer.id].to_numpy()[0])
        failed = [detail.name for detail in summary.details if detail.status != "passed"]
        found.append({"status": summary.status, "failed": failed, "warned": warned})
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
