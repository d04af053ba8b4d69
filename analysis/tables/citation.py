"""How to cite the suite: an entry for BibTeX from CITATION.cff, with the commits that the records are from."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any

import yaml

from analysis.study.study import Study
from analysis.tables.device_table import commit
from analysis.tables.latex import escape
from bench.common.paths import CITATION

KEY = "edgejoule"


@cache
def about() -> dict[str, Any]:
    """The contents of CITATION.cff; of a package that was installed without it, its metadata."""
    try:
        contents = yaml.safe_load(CITATION.read_text(encoding="utf-8"))
    except OSError:
        contents = _installed()
    return dict(contents)


def _installed() -> dict[str, Any]:
    try:
        about_package = metadata.metadata("edgejoule")
    except metadata.PackageNotFoundError:
        return {"title": "EdgeJoule", "authors": [{"name": "EdgeJoule contributors"}]}
    authors = [{"name": about_package["Author"]}] if "Author" in about_package else []
    return {"title": f"EdgeJoule: {about_package['Summary']}", "version": about_package["Version"], "authors": authors}


def bibtex(study: Study) -> str:
    """``@misc``, which every bibliography style knows. Braces keep names of organisations and capitals as they are.

    Args:
        study: The study, with the commits that its records name.

    Returns:
        The entry, with a line break at its end.
    """
    about_suite = about()
    commits = list(dict.fromkeys(commit(record.environment) for record in study.records))
    fields = {
        "title": f"{{{escape(about_suite['title'])}}}",
        "author": " and ".join(_author(author) for author in about_suite.get("authors", ())),
        "year": str(about_suite.get("date-released", ""))[:4],
        "howpublished": escape(f"Software, version {about_suite['version']}") if "version" in about_suite else "Software",
        "note": escape(f"{'Commit' if len(commits) == 1 else 'Commits'} {', '.join(commits)}"),
        "url": str(about_suite.get("repository-code", about_suite.get("url", ""))),
    }
    lines = [f"  {name} = {{{text}}}" for name, text in fields.items() if text]
    return f"@misc{{{KEY},\n" + ",\n".join(lines) + "\n}\n"


def _author(author: dict[str, str]) -> str:
    if "family-names" in author:
        return escape(", ".join(author[key] for key in ("family-names", "given-names") if key in author))
    return f"{{{escape(author['name'])}}}"
