"""The data set of the Sunnybrook plugin is segmented with the Keras U-Net, from the form to the overlay."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import RunningServer
from tests.journeys.test_plugins import get, request, server, wait_until_done  # noqa: F401 - a fixture
from tests.sunnybrook import copy_sunnybrook

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"),
]
GENERIC = "/models/images/generic"


@pytest.mark.long
def test_hearts_with_the_keras_unet(server: RunningServer, shared_data: Path) -> None:  # noqa: F811
    hearts = copy_sunnybrook(shared_data, server.jobs_dir.parent / "hearts")
    folders = {"image_folder": hearts.pictures, "contour_folder": hearts.contours, "folder_pct_val": 25}
    address = "/datasets/generic/create/image-sunnybrook.json"
    made = get(server, address, dataset_name="hearts", channel_conversion="L", picture_size=64, **folders)
    wait_until_done(server, made["id"])
    training = {"framework": "tensorflow", "standard_networks": "unet", "train_epochs": 2, "loss": "cross_entropy_dice"}
    model = get(server, f"{GENERIC}.json", model_name="ventricle", dataset=made["id"], **training)
    wait_until_done(server, model["id"])
    assert '"dice/left ventricle"' in (server.jobs_dir / model["id"] / "events.jsonl").read_text()
    outputs = get(server, f"{GENERIC}/infer_extension.json", job_id=model["id"], validation_record=1)["outputs"]
    (scores,) = next(iter(outputs.values())).values()
    assert np.asarray(scores).shape == (2, 64, 64)
    np.testing.assert_allclose(np.sum(scores, axis=0), 1, atol=1e-4)
    requested = {"job_id": model["id"], "validation_record": 1, "view_extension_id": "image-segmentation"}
    status, results = request(server, f"{GENERIC}/infer_extension", **requested)
    assert status == 200
    assert 'data-truth="data:image/png' in results
