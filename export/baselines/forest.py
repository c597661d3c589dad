"""Random forest. The graph walks all trees at once: arrays of nodes, and one gather for each level of depth."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor, nn

from export.baselines.fitted import Fitted
from export.baselines.tuning import Targets, Values, tune_classes
from export.words import Words

FLOOR = 1e-3  # share of a class that no tree names: some hundred trees cannot tell smaller ones


class ForestWords(Words):
    """trees: how many, fewest first. leaves: least spectra in a leaf, most first. depth: at most; None grows them out.
    split: least spectra in a node that is divided."""

    kind: Literal["forest"] = "forest"
    trees: Annotated[tuple[Annotated[int, Field(ge=1, le=2000)], ...], Field(min_length=1)] = (100, 300)
    leaves: Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(min_length=1)] = (4, 2, 1)
    depth: Annotated[int, Field(ge=1, le=64)] | None = None
    split: Annotated[int, Field(ge=2, le=1000)] = 2

    def tune(self, spectra: Values, targets: Targets, groups: Targets, *, seed: int) -> Fitted:
        """Return the baseline tuned and fitted. Raises DataUnusable."""
        grid = [{"n_estimators": trees, "min_samples_leaf": least} for trees in self.trees for least in self.leaves]
        tuning = tune_classes(spectra, targets, groups, settings=len(grid))
        model = RandomForestClassifier(max_depth=self.depth, min_samples_split=self.split, random_state=seed, n_jobs=1)
        model, settings = tuning.best(model, grid)
        return Fitted(head=Forest([tree.tree_ for tree in model.estimators_]), settings=settings)


class Forest(nn.Module):
    """Spectra [n, points] to the log of the mean share of each class in the leaves, [n, classes].

    Nodes of all trees stand in one row; the right child follows the left. A leaf is its own child.
    """

    roots: Tensor
    point: Tensor
    threshold: Tensor
    child: Tensor
    share: Tensor

    def __init__(self, trees: list[Any]) -> None:
        super().__init__()
        parts = [_nodes(tree) for tree in trees]
        starts = np.cumsum([0] + [len(part[0]) for part in parts])
        self.depth = max(int(tree.max_depth) for tree in trees)
        self.register_buffer("roots", torch.from_numpy(starts[:-1].copy()))
        self.register_buffer("point", torch.from_numpy(np.concatenate([part[0] for part in parts])))
        self.register_buffer("threshold", torch.from_numpy(np.concatenate([part[1] for part in parts])))
        children = [part[2] + start for part, start in zip(parts, starts[:-1], strict=True)]
        self.register_buffer("child", torch.from_numpy(np.concatenate(children)))
        self.register_buffer("share", torch.from_numpy(np.concatenate([part[3] for part in parts])))

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the logits."""
        at = self.roots.expand(spectra.shape[0], -1)
        for _ in range(self.depth):
            right = spectra.gather(1, self.point[at]) > self.threshold[at]
            at = self.child[at] + right.to(at.dtype)
        return self.share[at].mean(dim=1).clamp_min(FLOOR).log()


def _nodes(
    tree: Any,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Return point, threshold, left child and class shares of one tree's nodes, children side by side.

    scikit-learn compares float32 spectra with float64 thresholds; the float32 just below gives the same answers.
    """
    count = int(tree.node_count)
    inner = np.flatnonzero(tree.children_left >= 0)
    place = np.zeros(count, dtype=np.int64)
    place[tree.children_left[inner]] = 1 + 2 * np.arange(len(inner))
    place[tree.children_right[inner]] = 2 + 2 * np.arange(len(inner))
    point, child = np.zeros(count, dtype=np.int64), np.arange(count)
    threshold = np.full(count, np.inf, dtype=np.float32)
    point[place[inner]] = tree.feature[inner]
    child[place[inner]] = place[tree.children_left[inner]]
    exact = tree.threshold[inner]
    near = exact.astype(np.float32)
    threshold[place[inner]] = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
    share = np.empty((count, tree.value.shape[2]), dtype=np.float32)
    share[place] = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
    return point, threshold, child, share
