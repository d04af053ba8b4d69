"""The page: what is in it, that it can be read without a script, by everyone, on a phone, a desktop and paper."""

from __future__ import annotations

import html
import itertools
import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.page import html_page as pages
from analysis.page.content.check_rows import SHOWN, point_rows, summary
from analysis.page.content.figure_sections import grouped
from analysis.page.content.report_content import content_of
from analysis.page.content.reproduce_commands import commands, script, whole_study
from analysis.page.html_page import MOST_COMMANDS, MOST_FIGURES, MOST_PROBLEMS, MOST_ROWS, anchor, page, tied
from analysis.page.markdown_summary import escape, markdown
from analysis.page.report_files import write_report
from analysis.plotting.figure_registry import FIGURES, SECTIONS, ReportFigure
from analysis.plotting.figure_style import DrawnFigure
from analysis.plotting.page_layouts import IEEE
from analysis.study.study import Study, load_study
from analysis.tables.report_tables import artefact_tables, study_tables
from tests.analysis.studies import drawn, full, study_of, write_study
from tests.records import make_record

pytestmark = pytest.mark.slow

NASTY = 'R&D <script>alert("1")</script> _50 %_ | x'
NO_VALUE = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """What is on a page: tags with their attributes, headings by level, text; ``open_text`` is that which is not folded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.text = self.open_text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in NO_VALUE:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> is not the innermost"

    def handle_data(self, data: str) -> None:
        self.text += data
        if not {"details", "style", "title"} & set(self.open):
            self.open_text += data
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            level, title = self.headings[-1]
            self.headings[-1] = (level, title + data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a study with everything that goes wrong: names that are markup, a failed point, a half-written record."""
    folder = tmp_path_factory.mktemp("made") / "study"
    records = [*full(6), make_record("sequence", status="failed", reason="exit code 1: <b>no</b> & nothing")]
    for record in records:
        record["environment"] |= {
            "overrides": ["experiment=quickstart", f"strategy={record['point']['strategy']}", "smoke=True"]
        }
    write_study(folder, records)
    (folder / "study.json").write_text(json.dumps({"schema": "edgejoule.study/1", "study": NASTY, "experiment": None}))
    (folder / "half").mkdir()
    (folder / "half" / "result.json").write_text('{"schema": "edgejoule.result/2", "sta')
    out = folder.parent / "out"
    write_report(load_study(folder), out, ("svg",), IEEE, notes=["code: abc against <def>"])
    return out


@pytest.fixture(scope="module")
def seen(made: Path) -> Page:
    return Page((made / "index.html").read_text())


def test_the_report_and_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = write_study(tmp_path / "study", full()), tmp_path / "out"
    assert main(["report", str(folder), "--out", str(out), "--format", "svg,pdf,png"]) == 0
    printed = capsys.readouterr().out
    assert f"report: {out / 'index.html'}" in printed
    assert "pipeline n=2" in printed
    page = (out / "index.html").read_text()
    assert "<script" not in page
    assert page.count("<figure") == page.count("data:image/svg+xml;base64,") == len(drawn(folder)) >= 9
    assert "python -m bench study=test strategy=tensor ranks=2 model=minilm" in page
    assert "rapl on localhost: no RAPL" in page
    assert {path.suffix for path in (out / "figures").iterdir()} == {".svg", ".pdf", ".png"}
    assert len(pd.read_csv(out / "data" / "energy_time_modelled.csv")) == 12
    assert "\\toprule" in (out / "tables" / "headline.tex").read_text()
    assert "data n=2" in (out / "report.md").read_text()


def test_what_an_earlier_report_left_goes_away(tmp_path: Path) -> None:
    """A figure that is not drawn again would look current; files of the user's own stay."""
    out = tmp_path / "out"
    folder = write_study(tmp_path / "study", [make_record("data")])
    assert main(["report", str(folder), "--out", str(out), "--format", "png"]) == 0
    (out / "figures" / "mine.png").write_bytes(b"own")
    first = {path.name for path in (out / "figures").iterdir()}
    assert "energy_time_modelled.png" in first
    silent = write_study(tmp_path / "silent", [make_record("data", kind="none")])
    assert main(["report", str(silent), "--out", str(out), "--format", "png"]) == 0
    second = {path.name for path in (out / "figures").iterdir()}
    assert "mine.png" in second
    assert not [name for name in second if "energy" in name]
    listed = (out / "files.txt").read_text().splitlines()
    assert "index.html" in listed
    assert all((out / name).is_file() for name in listed)


def test_smoke_runs_are_stamped(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "smoke", full(1, smoke=True))
    assert main(["report", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert "Smoke runs:" in (tmp_path / "out" / "index.html").read_text()


def test_the_page_needs_no_script_and_nothing_from_elsewhere(made: Path, seen: Page) -> None:
    assert not seen.all("script")
    assert not seen.all("link")
    assert not re.search(r"https?://|url\(|@import", re.sub(r"data:[^\"]+", "", (made / "index.html").read_text()))
    for tag, attributes in seen.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
    for attributes in seen.all("a"):
        target = attributes["href"] or ""
        assert target.startswith("#") or (made / target).exists(), target


def test_the_page_is_accessible(seen: Page) -> None:
    """Language, landmarks, a skip link, headings in order, an alternative for each picture, headers of every table."""
    assert seen.all("html") == [{"lang": "en"}]
    assert [len(seen.all(tag)) for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    assert seen.all("a")[0] == {"class": "skip", "href": "#answer"}
    levels = [level for level, _ in seen.headings]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), seen.headings
    assert all(title.strip() for _, title in seen.headings)
    pictures = seen.all("img")
    assert pictures
    assert all(len(picture["alt"] or "") > 20 for picture in pictures)
    assert all(header.get("scope") in ("col", "row") for header in seen.all("th"))
    assert len(seen.all("thead")) == len(seen.all("table")) == len(seen.all("tbody"))
    scrolling = [attributes for attributes in seen.all("div") if attributes.get("class") == "scroll"]
    assert all(attributes["tabindex"] == "0" and attributes["aria-label"] for attributes in scrolling)


def test_every_link_on_the_page_has_its_place(seen: Page) -> None:
    ids = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [attributes["href"] or "" for attributes in seen.all("a")]
    inside = [target[1:] for target in targets if target.startswith("#")]
    assert len(inside) > 12
    assert set(inside) <= set(ids)
    for attributes in (attributes for _, attributes in seen.tags):
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name) is None or attributes[name] in ids


def test_text_is_dark_enough_on_its_ground() -> None:
    """WCAG 2, 4.5 to 1, of every colour of text on white and on the ground of boxes."""
    css = (pages.TEMPLATES / "style.css.j2").read_text()
    variables = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", css))
    texts = [variables[name] for name in ("ink", "soft", "link")] + re.findall(r"(?<![-a-z])color: (#[0-9a-f]{6})", css)
    assert len(texts) >= 6
    for ground in ("#ffffff", variables["wash"], "#fff8e6"):
        assert min(contrast(text, ground) for text in texts) >= 4.5


def contrast(one: str, other: str) -> float:
    light = sorted((luminance(one), luminance(other)))
    return (light[1] + 0.05) / (light[0] + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_answer_comes_first_then_the_contents(seen: Page) -> None:
    order = ["The answer", "Contents", "Figures", "Tables", "Checks", "Points without a valid result", "What was not measured",
             "Environment", "Run it again"]  # fmt: skip
    assert [title for level, title in seen.headings if level == 2] == order
    sections = [title for level, title in seen.headings if level == 3]
    assert sections[0] == "Trade-off"
    assert [title for title in sections if title in SECTIONS] == [title for title in SECTIONS if title in sections]
    assert sections.index("Quality") < sections.index("Devices"), "figures come before tables, and none is in another section"
    assert seen.text.index("tensor n=2 used the least energy") < seen.text.index("Contents")


def test_names_that_are_markup_stay_text(made: Path, seen: Page) -> None:
    assert seen.headings[0] == (1, NASTY)
    assert "exit code 1: <b>no</b> & nothing" in seen.text
    assert "code: abc against <def>" in seen.text
    short = (made / "report.md").read_text()
    assert short.startswith(r'# R&D \<script\>alert("1")\</script\> \_50 %\_ \| x')


def test_what_went_wrong_is_shown_and_the_rest_reported(seen: Page) -> None:
    assert "25 points, 24 of them valid" in seen.text
    assert "is not a whole record" in seen.text
    assert "sequence-n2-minilm-reviews-r0-sequmode: failed." in seen.text
    assert "FAILED" in seen.text
    assert "pipeline n=2" in seen.text


def test_checks_are_told_at_three_levels(seen: Page) -> None:
    for words in ("1. ", "12. ", "every record can be read", "loss is finite", "25 passed"):
        assert words in seen.text
    verdicts = re.findall("PASSED|WARNED|FAILED|SKIPPED", seen.text)
    assert len(verdicts) >= 12 + 9 + 1


def test_every_point_can_be_run_again(made: Path, seen: Page) -> None:
    line = "python -m bench hydra.mode=RUN experiment=quickstart strategy=tensor smoke=True"
    assert line in seen.text
    assert "python -m bench experiment=quickstart smoke=True" in seen.text
    lines = (made / "reproduce.sh").read_text().splitlines()
    assert lines[:3] == ["#!/bin/sh", f"# The configurations of study {NASTY}, one after the other.", "set -e"]
    assert sum(text.startswith("python -m bench ") for text in lines) == 5
    assert line in lines


def test_words_of_a_command_are_quoted_and_older_records_reconstructed() -> None:
    new, old = make_record("data"), make_record("tensor", point={"experiment": "quickstart"})
    new["environment"]["overrides"] = ["cluster.hosts=[a,b]", "strategy=data"]
    made = study_of("s", Path("s"), [new, old], [])
    first, second = commands(made)
    assert first.line == "python -m bench hydra.mode=RUN 'cluster.hosts=[a,b]' strategy=data"
    assert second.line.startswith("python -m bench experiment=quickstart hydra.mode=RUN strategy=tensor ranks=2 model=minilm")
    assert "older than the words" in second.note
    assert "older than the words" in script(made)
    assert whole_study(made) is None


def test_a_study_that_was_no_experiment_has_no_line_for_all() -> None:
    record = make_record("data")
    record["environment"]["overrides"] = ["strategy=data"]
    assert whole_study(study_of("s", Path("s"), [record], [])) is None


def big(configurations: int = 60, repeats: int = 3, bad: int = 30) -> Study:
    records = [
        make_record("data", repeat, point={"batch": 8 * number})
        for number in range(1, configurations + 1)
        for repeat in range(repeats)
    ]
    records += [make_record("tensor", number, status="failed", reason=f"exit code {number}") for number in range(bad)]
    for record in records:
        record["checks"] = [{"name": "quiet", "status": "warned", "detail": f"busy in {record['point']['name']}"}]
    return study_of("big", Path("results/big"), records, [])


def page_of(study: Study) -> Page:
    tables = study_tables(study)
    tables += artefact_tables(study, [], tables, "python -m analysis report results/big")
    return Page(page(content_of(study, [], tables, [], False)))


def test_a_large_study_stays_readable() -> None:
    """Sixty configurations and more: tables are cut and say where the rest is, long lists are folded."""
    study = big(configurations=MOST_ROWS + 5)
    seen = page_of(study)
    text = " ".join(seen.text.split())
    assert f"The first {MOST_ROWS} of {MOST_ROWS + 5} rows; all are in tables/headline.csv." in text
    assert f"{MOST_ROWS + 5 + 1 - MOST_COMMANDS} more configurations" in text
    assert f"{30 - MOST_PROBLEMS} more" in text
    assert text.count("busy in") <= 200 + SHOWN
    assert "more configurations are in the table" in text


def test_details_of_checks_are_folded_after_the_first() -> None:
    study = big(configurations=2, repeats=3, bad=0)
    (row,) = point_rows(study)
    assert (row.name, row.verdict, row.counts) == ("quiet", "warned", "6 warned")
    assert (len(row.details), len(row.folded)) == (SHOWN, 6 - SHOWN)
    assert summary(["passed", "failed", "passed", "skipped"]) == "2 passed, 1 failed, 1 skipped"


def test_the_worst_status_of_a_check_is_its_verdict() -> None:
    records = [make_record("data", repeat) for repeat in range(3)]
    for record, status in zip(records, ("passed", "failed", "warned"), strict=True):
        record["checks"] = [{"name": "quiet", "status": status, "detail": status}]
    (row,) = point_rows(study_of("s", Path("s"), records, []))
    assert (row.verdict, row.counts) == ("failed", "1 failed, 1 warned, 1 passed")


def test_figures_stand_in_the_section_that_they_name() -> None:
    names = ["power", "energy_time", "power_mode", "time_breakdown", "energy_bars", "links", "scaling", "peak_memory",
             "loss_step", "choice", "step_times", "failure_recovery"]  # fmt: skip
    assert [FIGURES.get(name).section for name in names] == [
        "Time and energy", "Trade-off", "Trade-off", "Time and energy", "Bars", "Network", "Scaling", "Memory and traffic",
        "Learning", "Sensitivity", "Quality", "Failures",
    ]  # fmt: skip
    own = ReportFigure(lambda study, layout: [], "something_new", "A section of its own", 0)
    groups = {title: [figure.name for figure in figures] for title, figures in grouped([own, *map(FIGURES.get, names)])}
    assert list(groups) == [*SECTIONS, "A section of its own"]
    assert groups["Trade-off"] == ["energy_time", "power_mode"]
    assert groups["A section of its own"] == ["something_new"]


def test_every_figure_of_the_suite_is_in_a_section_whose_place_is_known() -> None:
    """A misspelt section would be one of its own at the end of the page."""
    assert {figure.section for figure in FIGURES.all().values()} == set(SECTIONS)


def test_a_section_with_many_figures_is_folded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    def many(study: Study, layout: Any) -> list[DrawnFigure]:
        data = pd.DataFrame({"x_s": [1.0]})
        return [DrawnFigure(f"loss_{n}", f"Loss {n}", "A caption.", Figure((3.5, 1)), data) for n in range(MOST_FIGURES + 3)]

    figures = (ReportFigure(many, "many", "Learning", 1),)
    monkeypatch.setattr("analysis.page.parallel_drawing.report_figures", lambda: figures)
    study = study_of("s", Path("s"), [make_record("data")], [])
    write_report(study, tmp_path / "out", ("png",), IEEE)
    text = (tmp_path / "out" / "index.html").read_text()
    assert text.count("<figure") == MOST_FIGURES + 3
    assert "<summary>3 more figures: Learning</summary>" in text
    assert Page(text).text.count("3 more figures") == 2


def test_a_figure_of_too_many_lines_is_shown_as_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of megabytes of vectors makes a page slow; its vectors stay in its files."""
    from analysis.figures import step_time_spread

    monkeypatch.setattr("analysis.page.parallel_drawing.report_figures", lambda: (step_time_spread.draw,))
    monkeypatch.setattr("analysis.page.content.report_content.LARGEST_SVG", 1000)
    write_report(study_of("s", Path("s"), full(1), []), tmp_path / "out", ("svg",), IEEE)
    assert 'src="data:image/png;base64,' in (tmp_path / "out" / "index.html").read_text()
    assert [path.suffix for path in (tmp_path / "out" / "figures").iterdir()] == [".svg"]


def test_the_figure_to_explore_with_is_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("plotly", reason="plotly is an extra")
    monkeypatch.setattr("analysis.page.parallel_drawing.report_figures", tuple)
    study = study_of("s", Path("s"), full(1), [])
    for interactive in (False, True):
        write_report(study, tmp_path / "out", ("svg",), IEEE, interactive=interactive)
        text = (tmp_path / "out" / "index.html").read_text()
        assert ('href="explore.html"' in text) == (tmp_path / "out" / "explore.html").exists() == interactive
        assert not Page(text).all("script")


def test_a_study_without_a_valid_point_has_a_page(tmp_path: Path) -> None:
    study = study_of("s", Path("s"), [make_record("data", status="failed", reason="exit code 1")], [])
    write_report(study, tmp_path / "out", ("svg",), IEEE)
    seen = Page((tmp_path / "out" / "index.html").read_text())
    assert "there is nothing to compare" in seen.text
    assert "exit code 1" in seen.text
    assert "exit code 1" in (tmp_path / "out" / "report.md").read_text()


def test_numbers_keep_their_units_and_sections_their_places() -> None:
    assert tied("0.71 x that, 95 % at 7.5 J and 15 samples/s of 3 xs") == (
        "0.71\u00a0x that, 95\u00a0% at 7.5\u00a0J and 15\u00a0samples/s of 3 xs"
    )
    assert anchor("Time and energy") == "time-and-energy"
    assert escape("a|b_c*d\n#") == r"a\|b\_c\*d \#"


def test_markdown_is_the_same_in_short(made: Path) -> None:
    text = (made / "report.md").read_text()
    picture = "![Energy against time](figures/energy_time_modelled.svg)"
    said = ("tensor n=2 used the least energy", "## Trade-off", "## Checks", "is not a whole record", "network switch")
    for words in (*said, picture, "hydra.mode=RUN experiment=quickstart"):
        assert words in text
    rows = [line for line in text.splitlines() if line.startswith("| data n=2 ")]
    assert len(rows) == 1
    header = next(line for line in text.splitlines() if line.startswith("| Configuration "))
    assert rows[0].count("|") == header.count("|")
    study = big()
    tables = study_tables(study)
    short = markdown(content_of(study, [], tables, [], False))
    assert "more are in reproduce.sh" in short


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--no-first-run", "--allow-file-access-from-files",
]  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to open the page in")
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows_in_a_browser(width: int, made: Path, seen: Page, tmp_path: Path) -> None:
    """A phone and a desktop: the page is not wider than the window, also with all unfolded; every picture is loaded."""
    # Headless windows have a least width; a frame of the wanted width inside one has not.
    probe = (
        f"<iframe id=f src=index.html style='width:{width}px;height:900px;border:0'></iframe><pre id=r></pre><script>"
        "f.onload = () => setTimeout(() => { const d = f.contentDocument;"
        "const folded = d.documentElement.scrollWidth; d.querySelectorAll('details').forEach(x => x.open = true);"
        "r.textContent = JSON.stringify({folded, "
        "wide: d.documentElement.scrollWidth, seen: d.documentElement.clientWidth,"
        "loaded: [...d.images].filter(i => i.complete && i.naturalWidth).length}) }, 500)</script>"
    )
    (made / f"probe{width}.html").write_text(probe)
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    line = [str(CHROMIUM), *FLAGS, profile, "--virtual-time-budget=8000", "--dump-dom", f"file://{made / f'probe{width}.html'}"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=90)
    found = json.loads(done.stdout.split('<pre id="r">')[1].split("</pre>")[0])
    assert found["seen"] <= width
    assert found["folded"] <= found["seen"]
    assert found["wide"] <= found["seen"]
    assert found["loaded"] == len(seen.all("figure"))


@pytest.mark.skipif(CHROMIUM is None or shutil.which("pdftotext") is None, reason="no chromium or pdftotext to print with")
def test_the_page_prints_whole(made: Path, seen: Page, tmp_path: Path) -> None:
    """Every number that is not folded is on paper as often as on the page, every word within its sheet, no sheet is empty."""
    pdf = tmp_path / "report.pdf"
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    line = [str(CHROMIUM), *FLAGS, profile, "--no-pdf-header-footer", f"--print-to-pdf={pdf}", f"file://{made / 'index.html'}"]
    subprocess.run(line, capture_output=True, timeout=90)
    text = subprocess.run(["pdftotext", "-bbox", str(pdf), "-"], capture_output=True, text=True, check=True).stdout
    sheets = text.split("<page ")[1:]
    assert 6 <= len(sheets) <= 30
    for sheet in sheets:
        width, height = (float(size) for size in re.findall(r'(?:width|height)="([\d.]+)"', sheet)[:2])
        boxes = re.findall(r'xMin="([-\d.]+)" yMin="([-\d.]+)" xMax="([-\d.]+)" yMax="([-\d.]+)"', sheet)
        assert boxes
        for left, top, right, bottom in (tuple(map(float, box)) for box in boxes):
            assert 20 <= left < right <= width - 20
            assert 20 <= top < bottom <= height - 20
    words = html.unescape(" ".join(re.findall(r">([^<\s]+)</word>", text)))
    for wanted in ("Run it again", "hydra.mode=RUN", "Made by EdgeJoule"):
        assert wanted in words
    printed, wanted_numbers = (Counter(re.findall(r"[\d.]*\d", found)) for found in (words, seen.open_text))
    assert len(wanted_numbers) > 100
    assert not wanted_numbers - printed
