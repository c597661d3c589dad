"""Every page of a study is what today's code writes from the outcomes beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.study.archive import SUFFIX, read_outcomes
from export.study.catalogue import STUDIES


@pytest.mark.parametrize("name", STUDIES)
def test_a_page_is_written_from_its_archive(name: str, repository: Path, data_dir: Path) -> None:
    study, results = STUDIES[name](), repository / "docs" / "results"
    known = read_outcomes(results / f"{name}{SUFFIX}", study.kind)
    outcomes = [known[digest] for cell in study.cells if (digest := cell.digest()) in known]

    page = study.page(outcomes, data_dir)

    hint = f"edged-export evaluate {name} --minutes 0.01 writes it anew"
    assert len(outcomes) == len(known), "the archive holds cells that the study no longer asks for"
    assert (results / f"{name}.md").read_text(encoding="utf-8") == page.markdown(), hint
    assert (results / f"{name}.html").read_text(encoding="utf-8") == page.html(inside=False), hint
