"""What speaks for a compound that a bank has learned: a vocabulary, kept in the kit and told in each bundle."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edged.infer.verdict import Preset
from export.words import Words

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(max_length=4096)]
Names = Annotated[float, Field(ge=0)]


class Others(Words):
    """Other compounds, in mixtures that hold this one and not them.

    The gate aside. before, now: false names a mixture, before it was learned and since. often: those that are named
    more often than a compound of the bank may be, and than chance explains, in which share of the mixtures; the worst
    first.
    """

    before: Names
    now: Names
    often: dict[str, Share]


class Tried(Words):
    """What one preset made of mixtures that chose no limit. recall_by_share: `from`, `to`, `number`, `recall`.

    not_in_scope: of those with it, the share that the gate refuses at this preset; it counts as missed in each recall
    and in the detection limit. What is named in mixtures without it is counted with the gate aside.
    """

    mixtures_with_it: Count
    not_in_scope: Share
    recall: Share
    recall_by_share: tuple[dict[str, float], ...]
    detection_limit: Share | None
    threshold: float | None
    min_support: float | None
    mixtures_without_it: Count
    named_in_them: Count
    look_alikes: Count
    named_in_look_alikes: Count
    wrongly_unknown: Share
    false_names_of_others: Others


class Gate(Words):
    """What the gate's plane got, and which share of mixtures of held-out scans of the compound is farther than the
    limit, before slack: the plane was laid through mixtures of those that taught."""

    dimensions_added: Count
    wrongly_refused: Share


class Learned(Words):
    """A compound that was learned. spectra: how many, of which `taught_by` taught and the others tried.

    files_sha256: of the files that they were read from; empty where they were the bank's own.
    """

    spectra: Count
    taught_by: Count
    files_sha256: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    remarks: tuple[Text, ...]
    seed: Count
    presets: dict[Preset, Tried]
    gate: Gate
    limit: Text
