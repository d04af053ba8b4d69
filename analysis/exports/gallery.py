"""The gallery: every kind of figure once, made from the records that lie beside it.

    python -m analysis gallery

``docs/gallery/gallery.yaml`` says which figure is taken from which study of ``docs/gallery/records``; this writes the
pictures and ``docs/gallery/README.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from analysis.plotting.figure_registry import report_figures
from analysis.plotting.figure_style import DrawnFigure, close, drawing
from analysis.plotting.page_layouts import Layout
from analysis.study.study import Study, load_study
from bench.common.paths import PROJECT
from bench.common.user_error import UserError

HERE = PROJECT / "docs" / "gallery"
DPI = 200


def write_gallery(folder: Path, layout: Layout) -> Path:
    """Write the pictures of ``folder``/gallery.yaml and README.md there.

    Args:
        folder: With gallery.yaml and records/.
        layout: The width of columns and pages.

    Returns:
        The path of the page.

    Raises:
        UserError: A figure that the file names is not drawn from its study, or the file cannot be read.
    """
    entries = _entries(folder / "gallery.yaml")
    lines = ["# Gallery", "", *_intro(layout), ""]
    known: dict[str, tuple[Study, dict[str, DrawnFigure]]] = {}
    for entry in entries:
        name = entry["study"]
        if name not in known:
            study = load_study(folder / "records" / name)
            known[name] = study, {figure.name: figure for draw in report_figures() for figure in draw(study, layout)}
        study, figures = known[name]
        if entry["figure"] not in figures:
            raise UserError(
                f"{folder}/gallery.yaml: {name} has no figure {entry['figure']}; it has {', '.join(sorted(figures))}"
            )
        lines += _entry(study, figures[entry["figure"]], folder, layout)
    for _, figures in known.values():
        for figure in figures.values():
            close(figure)
    page = folder / "README.md"
    page.write_text("\n".join(lines), encoding="utf-8")
    return page


def _entries(path: Path) -> list[Mapping[str, Any]]:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read ({str(error).splitlines()[0]}); give the folder of a gallery") from None
    rows = content if isinstance(content, list) else []
    if not rows or any(not isinstance(row, dict) or set(row) != {"figure", "study"} for row in rows):
        raise UserError(f"{path} must be a list of entries with figure: and study:")
    return rows


def _intro(layout: Layout) -> Iterator[str]:
    yield (
        "Every kind of figure that `python -m analysis report` draws, made by `python -m analysis gallery` from the records in "
        f"`docs/gallery/records`, at the width of a column or a page of {layout.name.upper()}. A report has them as vectors, "
        "with their data as CSV."
    )


def _entry(study: Study, drawn: DrawnFigure, folder: Path, layout: Layout) -> Iterator[str]:
    picture = folder / f"{study.name}-{drawn.name}.png"
    with drawing(layout):
        drawn.figure.savefig(picture, dpi=DPI, metadata={"Software": None})
    yield from (f"## {drawn.title}", "", f"![{drawn.title}]({picture.name})", "", drawn.caption, "")
    commands = {f"experiment={record.point.experiment}" for record in study.records if record.point.experiment}
    smoke = " Smoke runs: windows too short for conclusions." if study.smoke else ""
    lines = "; ".join(f"`python -m bench {command}`" for command in sorted(commands))
    yield from (
        f"From the study `{study.name}`{f' ({lines})' if lines else ''}, {len(study.records)} points.{smoke}{_clock(study)}",
        "",
    )


def _clock(study: Study) -> str:
    """What a reader must know of emulated boards: whether they compute as fast as their class while their links pass bits."""
    emulated = [one for one in study.good if one.point.network is not None and one.point.network.kind == "emulated"]
    if not emulated:
        return ""
    if any(one.dilation is None for one in emulated):
        return (
            " **Emulated without dilation**: they compute as fast as their share of the machine, not as their class, so "
            "which strategy leads may differ on real ones."
        )
    factors = sorted({one.dilation.factor for one in emulated if one.dilation is not None})
    return f" Emulated with dilated time: {factors[0]:.3g} to {factors[-1]:.3g} seconds of the machine for one of the boards."
