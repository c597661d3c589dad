"""Folding and filling, against numpy's and scipy's interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from export.models.pseudo_image import Fill, PseudoImage, side_of


def spectra(points: int) -> NDArray[np.float32]:
    return np.random.default_rng(7).normal(size=(3, points)).astype(np.float32)


def pictures(given: NDArray[np.float32], *, side: int, fill: Fill, serpentine: bool = False) -> NDArray[np.float32]:
    module = PseudoImage(points=given.shape[1], side=side, fill=fill, serpentine=serpentine)
    made: NDArray[np.float32] = module(torch.from_numpy(given)).numpy()
    assert made.shape == (len(given), 1, side, side)
    return made[:, 0]


@pytest.mark.parametrize(
    ("points", "side"), [(404, 21), (400, 20), (441, 21), (442, 22), (224, 15), (17, 5), (235, 24)]
)
def test_a_linear_fill_is_the_spectrum_stretched_and_folded(points: int, side: int) -> None:
    given = spectra(points)

    made = pictures(given, side=side, fill="linear")

    place = np.linspace(0, points - 1, side * side)
    expected = np.stack([np.interp(place, np.arange(points), row) for row in given]).reshape(-1, side, side)
    assert np.abs(made - expected).max() < 1e-5


@pytest.mark.parametrize(("points", "side"), [(404, 21), (400, 20), (224, 15), (17, 5), (235, 24)])
def test_a_bilinear_fill_is_the_folded_rows_stretched_downwards(points: int, side: int) -> None:
    given = spectra(points)

    made = pictures(given, side=side, fill="bilinear")

    rows = -(-points // side)
    place = np.linspace(0, points - 1, rows * side)
    down, across = np.meshgrid(np.linspace(0, rows - 1, side), np.arange(side), indexing="ij")
    for number, row in enumerate(given):
        folded = np.interp(place, np.arange(points), row).reshape(rows, side)
        picture = RegularGridInterpolator((np.arange(rows), np.arange(side)), folded)((down, across))
        assert np.abs(made[number] - picture).max() < 1e-5


@pytest.mark.parametrize("fill", ["linear", "bilinear"])
def test_a_square_number_of_points_needs_no_filling(fill: Fill) -> None:
    given = spectra(49)

    assert np.array_equal(pictures(given, side=7, fill=fill), given.reshape(-1, 7, 7))


@pytest.mark.parametrize("fill", ["linear", "bilinear"])
def test_neighbours_on_the_axis_are_neighbours_in_a_serpentine(fill: Fill) -> None:
    numbered = np.arange(49, dtype=np.float32)[None]

    picture = pictures(numbered, side=7, fill=fill, serpentine=True)[0]

    row, column = np.unravel_index(np.argsort(picture, axis=None), picture.shape)
    assert (np.abs(np.diff(row)) + np.abs(np.diff(column)) == 1).all()


def test_every_row_after_the_first_jumps_back_without_a_serpentine() -> None:
    numbered = np.arange(49, dtype=np.float32)[None]

    picture = pictures(numbered, side=7, fill="linear")[0]

    row, column = np.unravel_index(np.argsort(picture, axis=None), picture.shape)
    assert (np.abs(np.diff(row)) + np.abs(np.diff(column)) > 1).sum() == 6


@pytest.mark.parametrize(
    ("points", "multiple", "side"), [(404, 1, 21), (441, 1, 21), (442, 1, 22), (404, 12, 24), (17, 1, 5), (2, 1, 2)]
)
def test_the_side_is_the_smallest_that_holds_all_points(points: int, multiple: int, side: int) -> None:
    assert side_of(points, multiple_of=multiple) == side
