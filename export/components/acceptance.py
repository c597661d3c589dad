"""What a model of components must reach before anybody measures it: words of the recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from export.acceptance import SHARE, Criteria, Criterion

NAMES = Field(ge=0, le=10)  # a spectrum


def _least(text: str) -> Criterion:
    return Criterion(text=text, at_least=True)


def _most(text: str) -> Criterion:
    return Criterion(text=text, at_least=False, in_unit=True)


class ComponentsAcceptance(Criteria):
    """Shares of 1, and false names a spectrum. Real mixtures and pure scans are those of the trials whose contents
    somebody tells; made mixtures are those of the report's table."""

    exact_sets: Annotated[float | None, SHARE, _least("real mixtures with every compound told and no other")] = None
    f1: Annotated[float | None, SHARE, _least("F1 of compounds in real mixtures")] = None
    false_names: Annotated[float | None, NAMES, _most("false names a spectrum of real mixtures")] = None
    pure_exact: Annotated[float | None, SHARE, _least("held-out pure scans told as that and no other")] = None
    made_recall: Annotated[float | None, SHARE, _least("recall of compounds in made mixtures")] = None
    made_false_names: Annotated[float | None, NAMES, _most("false names a made mixture")] = None
    others_refused: Annotated[float | None, SHARE, _least("spectra of other things of which no compound is told")] = (
        None
    )
    same_sets: Annotated[float | None, SHARE, _least("same outcome and compounds as float")] = None
