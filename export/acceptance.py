"""What a model must reach before anybody measures it: words of the recipe, and whether the trial met them.

A criterion is met by the figure itself; its interval stands beside it, for a figure that just passes shows little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypedDict

from pydantic import Field

from export.figures import Figure
from export.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """text: of what. at_least: whether more is better. named, told: whether models of classes, of amounts, have it.

    in_unit: whether it is in a unit, that of the amount or names a spectrum; else it is a share.
    """

    text: str
    at_least: bool
    named: bool = True
    told: bool = False
    in_unit: bool = False


def _least(text: str, *, named: bool = True, told: bool = False) -> Criterion:
    return Criterion(text=text, at_least=True, named=named, told=told)


def _most(text: str, *, named: bool = True, told: bool = False, in_unit: bool = False) -> Criterion:
    return Criterion(text=text, at_least=False, named=named, told=told, in_unit=in_unit)


SHARE = Field(ge=0, le=1)
SIZE = Field(gt=0)
AMOUNTS = {"named": False, "told": True}
BOTH = {"named": True, "told": True}


class Criteria(Words):
    """Base of criteria of acceptance, each a field with its `Criterion`; verdicts are those of the default preset.

    What is left out is no criterion.
    """

    def stated(self) -> dict[str, float]:
        """Return what is asked for, by the name of its criterion."""
        return self.model_dump(exclude_none=True)

    @classmethod
    def known(cls) -> dict[str, Criterion]:
        """Return all that may be asked for, by name."""
        fields = cls.model_fields.items()
        return {name: of for name, field in fields for of in field.metadata if isinstance(of, Criterion)}


class Acceptance(Criteria):
    """Of models of classes and of amounts: shares of 1, RMSE in the unit of the amount."""

    accuracy: Annotated[float | None, SHARE, _least("accuracy on the held-out part")] = None
    accuracy_all_blocks: Annotated[float | None, SHARE, _least("accuracy, each part held out in turn")] = None
    stress_accuracy: Annotated[float | None, SHARE, _least("accuracy in stress sessions")] = None
    macro_f1: Annotated[float | None, SHARE, _least("macro-F1 on the held-out part")] = None
    rmse: Annotated[float | None, SIZE, _most("RMSE on the held-out part", **AMOUNTS, in_unit=True)] = None
    stress_rmse: Annotated[float | None, SIZE, _most("RMSE in stress sessions", **AMOUNTS, in_unit=True)] = None
    coverage: Annotated[float | None, SHARE, _least("intervals that hold the true amount, held out", **AMOUNTS)] = None
    stress_coverage: Annotated[float | None, SHARE, _least("intervals that hold it in stress sessions", **AMOUNTS)] = (
        None
    )
    coverage_90: Annotated[float | None, SHARE, _least("sets at 90 % that hold the true class, held out")] = None
    stress_coverage_90: Annotated[float | None, SHARE, _least("sets at 90 % that hold it in stress sessions")] = None
    coverage_99: Annotated[float | None, SHARE, _least("sets at 99 % that hold the true class, held out")] = None
    stress_coverage_99: Annotated[float | None, SHARE, _least("sets at 99 % that hold it in stress sessions")] = None
    wrong_names: Annotated[float | None, SHARE, _most("held-out spectra given a wrong name")] = None
    wrong_refusals: Annotated[float | None, SHARE, _most("held-out spectra wrongly refused", **BOTH)] = None
    wrong_refusals_all_blocks: Annotated[float | None, SHARE, _most("refused, each part held out in turn")] = None
    others_refused: Annotated[float | None, SHARE, _least("spectra of other things refused", **BOTH)] = None
    near_others_refused: Annotated[float | None, SHARE, _least("spectra of near things refused", **BOTH)] = None
    same_outcome: Annotated[float | None, SHARE, _least("same outcome as float", **BOTH)] = None

    def check(self, *, tells_amounts: bool) -> None:
        """Raise ValueError for a criterion that such a model has no figure of."""
        for name in self.stated():
            of = self.known()[name]
            if not (of.told if tells_amounts else of.named):
                does = "tells an amount" if tells_amounts else "names classes"
                raise ValueError(f"{name}: a model that {does} has no such figure")


class Judged(TypedDict):
    """One criterion: what was wanted and found. met is None where the trial did not measure it."""

    name: str
    text: str
    at_least: bool
    in_unit: bool
    wanted: float
    found: Figure | None
    met: bool | None


def judged(words: Criteria, found: Mapping[str, Figure | None]) -> list[Judged]:
    """Return each stated criterion beside its figure. found: figures by the names of criteria."""
    rows, criteria = [], words.known()
    for name, wanted in words.stated().items():
        of, figure = criteria[name], found.get(name)
        met = None
        if figure is not None:
            met = figure["value"] >= wanted if of.at_least else figure["value"] <= wanted
        rows.append(
            Judged(
                name=name, text=of.text, at_least=of.at_least, in_unit=of.in_unit, wanted=wanted, found=figure, met=met
            )
        )
    return rows
