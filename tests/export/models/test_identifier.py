"""The joined members of a bundle: what classes far apart do to their logits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from export.fit import Member
from export.models.identifier import LARGEST, identifier_of
from export.train import load_identifier
from tests.export.capsules import capsules, run


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_a_discriminant_of_classes_far_apart_is_built_and_every_device_can_say_the_same(tmp_path: Path) -> None:
    job = capsules(tmp_path, tells="classes")  # of which LDA's own logits are in the hundreds

    run(job, "train", "calibrate", "convert", "quantise", "verify")

    found = json.loads((job.work / "verify.json").read_text())
    with torch.no_grad():
        logits, _ = load_identifier(job)(torch.from_numpy(job.development_rows()))
    assert LARGEST / 8 < float(logits.abs().max()) <= LARGEST  # copies that taught go farther
    assert found["float_answer_difference"] < 1e-4


def test_members_are_halved_together_so_that_their_mean_is_scikit_learns_but_for_a_power_of_two(tmp_path: Path) -> None:
    job = capsules(tmp_path, tells="classes")
    spectra = job.spectra()
    members, fitted = [], []
    for part in (slice(0, None, 2), slice(1, None, 2)):
        lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=1e-3).fit(
            spectra.values[part], spectra.targets[part]
        )
        fitted.append(lda)
        head = torch.nn.Linear(len(spectra.axis), len(spectra.classes)).double()
        head.weight.data, head.bias.data = torch.from_numpy(lda.coef_), torch.from_numpy(lda.intercept_)
        largest = float(np.abs(lda.decision_function(spectra.values[part])).max())
        members.append(Member(own=torch.nn.Identity(), model=head, largest=largest))  # type: ignore[arg-type]

    identifier = identifier_of(job.recipe, members, classes=len(spectra.classes))
    rows = torch.from_numpy(spectra.values.copy())
    with torch.no_grad():
        said = torch.stack([member(rows) for member in identifier.members]).mean(dim=0).numpy()

    wanted = np.mean([lda.decision_function(spectra.values) for lda in fitted], axis=0)
    share = np.median(said / wanted)
    assert max(member.largest for member in members) > LARGEST
    assert np.log2(share) == pytest.approx(round(np.log2(share)), abs=1e-9)
    assert said == pytest.approx(share * wanted, rel=1e-9, abs=1e-9)
    assert np.abs(said).max() <= LARGEST
