"""The report of a study: one page that opens offline, its figures and tables as files, a summary in Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from analysis.figures import FIGURES
from analysis.records import Study
from analysis.reporting.content import content_of, picture
from analysis.reporting.markdown import markdown
from analysis.reporting.page import page
from analysis.reporting.reproduce import script
from analysis.style import Drawn, Layout, close
from analysis.tables import Table, artefact_tables, study_tables, write_tables

FORMATS = ("svg", "pdf", "png")
__all__ = ["FORMATS", "write_report"]


def write_report(
    study: Study,
    out: Path,
    formats: Sequence[str],
    layout: Layout,
    *,
    interactive: bool = False,
    notes: Sequence[str] = (),
) -> Path:
    """Write ``out``/index.html, report.md, reproduce.sh, figures/, data/ and tables/; the path of the page.

    ``notes`` are warnings that the page begins with. ``interactive`` adds explore.html (UserError without plotly).
    """
    for name in ("figures", "data", "tables"):
        (out / name).mkdir(parents=True, exist_ok=True)
    if interactive:
        from analysis.explore import write_explore

        write_explore(study, out / "explore.html")
    drawn = [figure for draw in FIGURES for figure in draw(study, layout)]
    pictures = [picture(figure, out, formats, layout) for figure in drawn]
    tables = _tables(study, drawn, _command(study, out, formats, layout))
    write_tables(study, tables, out / "tables")
    for figure in drawn:
        close(figure)
    content = content_of(study, pictures, tables, notes, interactive)
    (out / "index.html").write_text(page(content), encoding="utf-8")
    (out / "report.md").write_text(markdown(content), encoding="utf-8")
    (out / "reproduce.sh").write_text(script(study), encoding="utf-8")
    return out / "index.html"


def _tables(study: Study, drawn: Sequence[Drawn], command: str) -> list[Table]:
    own = study_tables(study)
    return [*own, *artefact_tables(study, drawn, own, command)]


def _command(study: Study, out: Path, formats: Sequence[str], layout: Layout) -> str:
    options = ["--out", str(out), "--format", ",".join(formats), "--column", layout.name]
    return shlex.join(["python", "-m", "analysis", "report", str(study.folder), *options])
