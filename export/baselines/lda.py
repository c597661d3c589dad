"""Linear discriminant analysis, once with a shrunken covariance and once on principal components."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import Pipeline

from export.baselines.fitted import Fitted
from export.baselines.linear import Linear, class_columns, scaler_or_none, unscaled
from export.baselines.tuning import Targets, Values, tune_classes, within
from export.words import Words


class LdaWords(Words):
    """shrinkages: share of the covariance that is replaced by its mean diagonal, largest first. scaled: z-score of each
    point."""

    kind: Literal["lda"] = "lda"
    shrinkages: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (
        1e-1,
        1e-2,
        1e-3,
        1e-4,
        1e-5,
    )
    scaled: bool = False

    def tune(self, spectra: Values, targets: Targets, groups: Targets, *, seed: int) -> Fitted:
        """Return the baseline tuned and fitted. Raises DataUnusable."""
        tuning = tune_classes(spectra, targets, groups, settings=len(self.shrinkages))
        steps = [("scaler", scaler_or_none(self.scaled)), ("lda", LinearDiscriminantAnalysis(solver="eigen"))]
        model, settings = tuning.best(Pipeline(steps), [{"lda__shrinkage": share} for share in self.shrinkages])
        weights, bias = unscaled(model["lda"].coef_.T, model["lda"].intercept_, model["scaler"])
        return Fitted(head=Linear(*class_columns(weights, bias), centre=spectra.mean(axis=0)), settings=settings)


class PcaLdaWords(Words):
    """components: how many may be kept, fewest first; more than the spectra allow are cut down to what they allow.
    scaled: z-score of each point."""

    kind: Literal["pca-lda"] = "pca-lda"
    components: Annotated[tuple[Annotated[int, Field(ge=1, le=512)], ...], Field(min_length=1)] = (8, 10, 12, 16, 20)
    scaled: bool = False

    def tune(self, spectra: Values, targets: Targets, groups: Targets, *, seed: int) -> Fitted:
        """Return the baseline tuned and fitted. Raises DataUnusable."""
        tuning = tune_classes(spectra, targets, groups, settings=len(self.components))
        steps = [
            ("scaler", scaler_or_none(self.scaled)),
            ("pca", PCA(svd_solver="full")),
            ("lda", LinearDiscriminantAnalysis()),
        ]
        grid = [{"pca__n_components": n} for n in within(self.components, tuning.most_components)]
        model, settings = tuning.best(Pipeline(steps), grid)
        pca, lda = model["pca"], model["lda"]
        weights = pca.components_.T @ lda.coef_.T
        weights, bias = unscaled(weights, lda.intercept_ - pca.mean_ @ weights, model["scaler"])
        return Fitted(head=Linear(*class_columns(weights, bias), centre=spectra.mean(axis=0)), settings=settings)
