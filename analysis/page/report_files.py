"""The report of a study: one page that opens offline, its figures and tables as files, a summary in Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from analysis.page.content.report_content import content_of
from analysis.page.content.reproduce_commands import script
from analysis.page.html_page import page
from analysis.page.markdown_summary import markdown
from analysis.page.parallel_drawing import draw_all
from analysis.plotting.page_layouts import Layout
from analysis.study.electricity_supply import NOTHING_STATED, Supply
from analysis.study.study import Study
from analysis.tables.report_tables import artefact_tables, study_tables, write_tables

FORMATS = ("svg", "pdf", "png")
MADE = ("index.html", "report.md", "reproduce.sh", "explore.html", "figures", "data", "tables")
LISTED = "files.txt"
__all__ = ["FORMATS", "write_report"]


def write_report(
    study: Study,
    out: Path,
    formats: Sequence[str],
    layout: Layout,
    *,
    interactive: bool = False,
    olympic: bool = False,
    supply: Supply = NOTHING_STATED,
    notes: Sequence[str] = (),
) -> Path:
    """Write ``out``/index.html, report.md, reproduce.sh, figures/, data/ and tables/.

    What an earlier report left there of another study goes away.

    Args:
        study: The points.
        out: Folder of the report, which need not be there.
        formats: Endings of the files of figures.
        layout: Sizes and fonts.
        interactive: Add explore.html, which needs plotly.
        olympic: Add means without the fastest and the slowest repeat.
        supply: What a kilowatt hour emits and costs, as the user says.
        notes: Warnings that the page begins with.

    Returns:
        The path of the page.

    Raises:
        UserError: ``interactive`` without plotly, or for a study without a valid point.
    """
    _clear(out)
    for name in ("figures", "data", "tables"):
        (out / name).mkdir(parents=True, exist_ok=True)
    if interactive:
        from analysis.page.interactive_figure import write_explore

        write_explore(study, out / "explore.html")
    pictures = draw_all(study, out, formats, layout)
    command = _command(study, out, formats, layout, [*(["--olympic"] if olympic else []), *supply.words])
    own = study_tables(study, olympic, supply)
    tables = [*own, *artefact_tables(study, pictures, own, command)]
    write_tables(study, tables, out / "tables")
    content = content_of(study, pictures, tables, notes, interactive)
    (out / "index.html").write_text(page(content), encoding="utf-8")
    (out / "report.md").write_text(markdown(content), encoding="utf-8")
    (out / "reproduce.sh").write_text(script(study), encoding="utf-8")
    _list(out)
    return out / "index.html"


def _clear(out: Path) -> None:
    """Remove the files that an earlier report has listed as its own: a figure that is not drawn again would look current."""
    listed = out / LISTED
    if listed.exists():
        for line in listed.read_text(encoding="utf-8").splitlines():
            if (path := (out / line)).is_file() and path.resolve().is_relative_to(out.resolve()):
                path.unlink()


def _list(out: Path) -> None:
    made = [path for top in MADE for path in ([out / top] if (out / top).is_file() else sorted((out / top).rglob("*")))]
    names = [path.relative_to(out).as_posix() for path in made if path.is_file()]
    (out / LISTED).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _command(study: Study, out: Path, formats: Sequence[str], layout: Layout, words: Sequence[str]) -> str:
    options = ["--out", str(out), "--format", ",".join(formats), "--column", layout.name, *words]
    return shlex.join(["python", "-m", "analysis", "report", str(study.folder), *options])
