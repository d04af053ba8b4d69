"""The report of a study: one page that opens offline, its figures and tables as files, a summary in Markdown."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from analysis import tables, words
from analysis.figures import FIGURES
from analysis.records import Study
from analysis.style import Drawn, Layout, close, save, svg_text

FORMATS = ("svg", "pdf", "png")
TEMPLATES = Path(__file__).with_name("templates")
LONGEST_TABLE = 60


def write_report(study: Study, out: Path, formats: Sequence[str], layout: Layout) -> Path:
    """Write ``out``/index.html, report.md, figures/, data/ and tables/; the path of the page."""
    for name in ("figures", "data", "tables"):
        (out / name).mkdir(parents=True, exist_ok=True)
    drawn = [figure for draw in FIGURES for figure in draw(study, layout)]
    shown = [_figure(figure, out, formats, layout) for figure in drawn]
    table = tables.shown(study)
    tables.headline(study).to_csv(out / "tables" / "headline.csv", index=False)
    (out / "tables" / "headline.tex").write_text(tables.latex(study) if not table.empty else "")
    answer = words.answer(study)
    facts = {
        "study": study,
        "answer": answer,
        "headline": html_table(table),
        "figures": shown,
        "checks": check_rows(study),
        "not_ok": [r for r in study.records if r["status"] != "ok"],
        "not_measured": not_measured(study),
        "environment": environment(study),
        "points": reproduce(study),
    }
    loader = jinja2.FileSystemLoader(TEMPLATES)
    pages = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = out / "index.html"
    page.write_text(pages.get_template("report.html.j2").render(facts), encoding="utf-8")
    (out / "report.md").write_text(_markdown(study, answer, table, drawn), encoding="utf-8")
    for figure in drawn:
        close(figure)
    return page


def _figure(drawn: Drawn, out: Path, formats: Sequence[str], layout: Layout) -> dict[str, Any]:
    save(drawn, out / "figures", formats, layout)
    drawn.data.to_csv(out / "data" / f"{drawn.name}.csv", index=False)
    return {
        "name": drawn.name,
        "title": drawn.title,
        "caption": drawn.caption,
        "image": base64.b64encode(svg_text(drawn, layout)).decode(),
        "table": html_table(drawn.data.head(LONGEST_TABLE)),
        "rows": len(drawn.data),
        "shown": min(len(drawn.data), LONGEST_TABLE),
        "formats": list(formats),
    }


def html_table(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    text: str = table.to_html(index=False, border=0, na_rep="-", float_format=lambda x: f"{x:.5g}")
    return text


def check_rows(study: Study) -> list[dict[str, Any]]:
    """Each check over all points: how often it passed, warned, failed or was skipped, and what it said where it did not."""
    names = list(dict.fromkeys(check["name"] for record in study.records for check in record["checks"]))
    rows = []
    for name in names:
        found = [(record["point"]["name"], c) for record in study.records for c in record["checks"] if c["name"] == name]
        counts = Counter(check["status"] for _, check in found)
        verdict = next(word for word in ("failed", "warned", "passed", "skipped") if counts[word])
        details = [f"{point}: {check['detail']}" for point, check in found if check["status"] in ("failed", "warned")]
        rows.append({"name": name, "verdict": verdict, "counts": counts, "details": details or [found[0][1]["detail"]]})
    return rows


def not_measured(study: Study) -> list[str]:
    """What the energy does not contain, and the sources that could not be read."""
    lines = []
    for record in study.good:
        lines += record["energy"]["coverage"]["not_measured"]
        lines += [f"{left['source']} on {left['host']}: {left['why']}" for left in record["energy"]["left_out"]]
    return list(dict.fromkeys(lines))


def environment(study: Study) -> list[tuple[str, str]]:
    """Facts that all points share, and those in which they differ, side by side."""
    facts: dict[str, list[str]] = {}
    for record in study.records:
        found = record["environment"]
        git = found.get("git", {})
        own = {"commit": f"{git.get('commit') or 'unknown'}{' with changes' if git.get('dirty') else ''}"}
        own |= {"Python": found.get("python", "unknown"), **found.get("packages", {})}
        own["MPI"] = found.get("mpi", {}).get("library", "unknown") if "mpi" in found else ""
        for host in found.get("hosts", []) if "mpi" in found else []:
            memory = (host.get("memory_bytes") or 0) / 2**30
            own[f"host {host['host']}"] = (
                f"{host.get('cpu') or 'unknown CPU'}, {host.get('cores')} cores, {memory:.1f} GiB, Linux {host.get('kernel')}, "
                f"governor {host.get('governor') or 'not visible'}, energy as board {host.get('board')}"
            )
        for key, value in own.items():
            if value and value not in facts.setdefault(key, []):
                facts[key].append(value)
    return [(key, " | ".join(values)) for key, values in facts.items()]


def reproduce(study: Study) -> list[dict[str, str]]:
    """How to run each configuration again."""
    found: dict[str, dict[str, str]] = {}
    for record in study.records:
        point = record["point"]
        words_ = [
            f"strategy={point['strategy']}",
            f"ranks={point['ranks']}",
            f"model={point['model']}",
            f"task={point['task']}",
        ]
        words_ += [f"train.{key}={point[key]}" for key in ("batch", "micro_batches", "seq", "lr", "optimizer", "dtype")]
        if point["strategy"] == "hybrid":
            words_ += [f"mesh.{axis}={size}" for axis, size in point["mesh"].items() if size > 1]
        study_words = f"experiment={point['experiment']}" if point["experiment"] else f"study={point['study']}"
        found[point["hash"]] = {
            "command": f"python -m bench {study_words} {' '.join(words_)}",
            "mpirun": record["environment"].get("command") or "",
            "folder": point["name"],
        }
    return list(found.values())


def _markdown(study: Study, answer: Sequence[str], table: pd.DataFrame, drawn: Sequence[Drawn]) -> str:
    lines = [f"# {study.name}", "", *(f"- {sentence}" for sentence in answer), ""]
    if not table.empty:
        lines += ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
        lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in table.itertuples(index=False)]
    for figure in drawn:
        lines += ["", f"## {figure.title}", "", f"![{figure.title}](figures/{figure.name}.svg)", "", figure.caption]
    return "\n".join(lines) + "\n"
