"""Models that name the components of a mixture: taught on mixtures made of pure spectra, confirmed by unmixing."""
