"""The certificate of a verified run: in the window, in a file, and with the result's layers."""

from __future__ import annotations

import numpy as np
from napari_helpers import finish, give, image, results, run, settle, small_model
from qtpy.QtGui import QGuiApplication

from napari_fcnseg import verify
from napari_fcnseg._napari.segment.results.certificate_dialog import CertificateDialog
from napari_fcnseg.proof.certificate import Certificate

TIMES = ("created", "seconds")


def test_the_certificate_is_that_of_verify_and_goes_with_every_layer(qtbot, viewer, dock, tmp_path) -> None:
    model, data = small_model(), image(30, 31)
    viewer.add_image(data)
    give(dock, model)
    dock.settings.tile.setValue(16)
    dock.settings.probabilities.value = True
    settle(qtbot)
    assert not dock.run.certificate.isVisible()
    dock.run.verify.click()
    finish(qtbot, dock)
    assert dock.run.certificate.isVisible()
    certificate = dock.controller.verification.certificate
    expected = verify(data, model, tile=16, probabilities=True, preprocess=()).certificate
    ours, theirs = ({k: v for k, v in c.as_dict().items() if k not in TIMES} for c in (certificate, expected))
    assert ours == theirs
    for layer in results(viewer, 1):
        assert layer.metadata["napari_fcnseg"]["certificate"] == certificate.as_dict()
        assert layer.metadata["napari_fcnseg"]["settings"]["tile"] == 16
    dock.run.certificate.click()
    dialog = dock.findChildren(CertificateDialog)[-1]
    assert dialog.text.toPlainText() == str(certificate)
    dialog.copy.click()
    assert QGuiApplication.clipboard().text() == str(certificate)
    dialog.save_as(str(tmp_path / "proof.json"))
    qtbot.waitUntil(lambda: "Saved as" in dialog.message.text(), timeout=10_000)
    assert Certificate.load(tmp_path / "proof.json").as_dict() == certificate.as_dict()
    dialog.save_as(str(tmp_path / "nowhere" / "proof.json"))
    qtbot.waitUntil(lambda: "There is no folder" in dialog.message.text(), timeout=10_000)
    dialog.close()


def test_the_next_run_has_no_certificate_until_it_is_verified(qtbot, viewer, dock) -> None:
    viewer.add_image(image(30, 31))
    give(dock, small_model())
    settle(qtbot)
    dock.run.verify.click()
    finish(qtbot, dock)
    dock.result.keep.click()
    run(qtbot, dock)
    assert not dock.run.certificate.isVisible()
    first, second = results(viewer, 1)
    assert "certificate" in first.metadata["napari_fcnseg"]
    assert "certificate" not in second.metadata["napari_fcnseg"]
    np.testing.assert_array_equal(first.data, second.data)
