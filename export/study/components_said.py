"""What the table of the study of components says, in words: of targets, plain fits, confirmation, and what is hardest.

Every number is read from outcomes; a sentence about rows that are not measured is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from export.study.components_trial import BASE, BY_WEIGHT, PLAIN, REAL, RESUCA, Trial, everything

EXACT, F1, FALSE = 0.85, 0.965, 0.04
"""The targets of real scans: at least, at least, at most."""
NETWORKS = ("DeepCID", "ResUCA", "ResUCA lite", "pair network", "shared trunk")
ALIKE, ALIKE_NAMES = 0.5, 0.005  # points of exact sets, and false names a scan, that are told as no difference
HIDDEN = ("1090AALA", "ascorbic acid")
"""The mixture that is hardest, and what of it is missed."""


def said(trial: Trial, compounds: Sequence[str]) -> list[str]:
    """What the table says, in words."""
    judged = [name for name in trial.ways if trial.figure(name, "exact", everything(trial.scans))]
    plain = [*_of_plain(trial, judged), *_of_penalty(trial)]
    return [*_of_targets(trial, judged), *plain, *_of_confirmed(trial), *_of_hidden(trial, compounds)]


def _of_targets(trial: Trial, judged: Sequence[str]) -> list[str]:
    reached = [
        name
        for name in judged
        if trial.mean(name) >= EXACT and trial.mean(name, "f1") >= F1 and trial.mean(name, "false_names") <= FALSE
    ]
    target = f"{100 * EXACT:g} % exact sets, an F1 of {100 * F1:g} and {FALSE} false names a scan"
    which = ": " + "; ".join(f"*{name}*" for name in reached) if reached else ""
    return [f"**The targets**, {target}, are reached by {len(reached)} of {len(judged)} rows{which}."]


def _of_plain(trial: Trial, judged: Sequence[str]) -> list[str]:
    """Networks beside plain least squares, which nobody teaches."""
    networks, chosen = [name for name in judged if name.startswith(NETWORKS)], trial.best_by_made("NNLS")
    if PLAIN not in judged or not networks or chosen is None:
        return []
    best = max(networks, key=trial.mean)
    ahead = 100 * (trial.mean(PLAIN) - trial.mean(best))
    verdict = "is as good as the networks" if abs(ahead) <= ALIKE else f"is {abs(ahead):.1f} points "
    if abs(ahead) > ALIKE:
        verdict += "ahead of all networks" if ahead > 0 else "behind the best network"
    said = (
        f"**Plain NNLS of the second derivative of reflectance {verdict}**: {_figures(trial, PLAIN)}; of "
        f"{len(networks)} rows with a network the best is *{best}*: {_figures(trial, best)}. Both were picked by the "
        f"real scans. Among ways of NNLS made mixtures would pick *{chosen}*: {_figures(trial, chosen)}."
    )
    return [said]


def _of_penalty(trial: Trial) -> list[str]:
    """The elastic net that made mixtures would pick, and what its penalty and its ranking do."""
    chosen = trial.best_by_made("elastic net")
    if chosen is None:
        return []
    of = trial.ways[chosen][0].penalty
    words = f" (alpha {of.alpha:g}, l1_ratio {of.l1_ratio:g})" if of else ""
    said = f"Among elastic nets they would pick *{chosen}*{words}: {_figures(trial, chosen)}"
    bare, plain = (chosen.replace("elastic net", way) for way in (BY_WEIGHT, "NNLS"))
    if bare in trial.ways:
        said += f"; without a penalty {_figures(trial, bare)}"
    if plain in trial.ways:
        said += f"; the plain fit, ranked by how much it needs each compound, {_figures(trial, plain)}"
    return [f"{said}."]


def _figures(trial: Trial, name: str) -> str:
    return f"{100 * trial.mean(name):.1f} % exact, {trial.mean(name, 'false_names'):.3f} false names"


def _of_confirmed(trial: Trial) -> list[str]:
    """What the fit does to what networks claim."""
    told = []
    for name in (RESUCA, BASE):
        confirmed = f"{name}, confirmed"
        if name in trial.ways and confirmed in trial.ways:
            exact = _more(100 * (trial.mean(confirmed) - trial.mean(name)), ALIKE)
            false = _more(trial.mean(confirmed, "false_names") - trial.mean(name, "false_names"), ALIKE_NAMES)
            told.append(
                f"of *{name}* it leaves {exact} exact sets and {false} false names ({_figures(trial, name)} alone; "
                f"{_figures(trial, confirmed)} confirmed)"
            )
    return [f"**Confirmation by the fit**: {'; '.join(told)}."] if told else []


def _more(change: float, alike: float) -> str:
    return "as many" if abs(change) <= alike else "more" if change > 0 else "fewer"


def _of_hidden(trial: Trial, compounds: Sequence[str]) -> list[str]:
    """The mixture that made ones do not prepare for."""
    label, compound = HIDDEN
    of_label, column = trial.of_label(label), compounds.index(compound)

    def found(name: str) -> float:
        return float(trial.share(name, of_label & ~trial.learnt(name))[column])

    blind = [name for name in trial.ways if not trial.learnt(name)[of_label].any()]
    if not blind:
        return []
    most = max(blind, key=found)
    said = (
        f"**A tenth of {compound} in lactose** is the hardest: of what learnt from none of it, *{most}* names it most "
        f"often, in {100 * found(most):.0f} % of scans. Lactose scatters so well that it hides the other's bands."
    )
    if REAL in trial.ways:
        said += f" *{REAL}* names it in {100 * found(REAL):.0f} % of those that it did not learn from."
    said += (
        " Detectors of single mixtures that have learnt this very one do find it ([unknowns](unknowns.md)): something "
        "of it is in the spectrum, though not where mixtures of pure spectra have it."
    )
    return [said]
