"""Carbon and cost: joules of the records times what somebody states of a kilowatt hour. Nothing here is measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import pandas as pd

from analysis.statistics.repeat_summary import summarise
from analysis.study.electricity_supply import J_PER_KWH, Intensity, Supply
from analysis.study.job_joules import job_joules
from analysis.study.study import Study
from analysis.study.study_record import MeasuredStudyRecord
from analysis.tables.job_table import configurations, kinds_of, work_columns
from analysis.tables.table import NUMBER, Column, Table, TableRow, join, short
from analysis.tables.table_registry import TableOptions, study_table
from bench.common.user_error import UserError

MILLION = 1e6
QUANTITIES = ("g_per_kWh", "carbon", "carbon_job", "cost", "cost_job")


@study_table("carbon_and_cost", order=18)
def supply_table(study: Study, options: TableOptions) -> Table | None:
    """Grams of CO2 equivalent and the price of a million samples and of a whole job.

    Args:
        study: The study that the report is about.
        options: With the ``supply``; without an intensity there, that of the records counts, where they state one.

    Returns:
        A row for each configuration with energy; None where nothing is stated.

    Raises:
        UserError: A series of intensities does not have the time of a point.
    """
    rows: list[TableRow] = []
    sources: dict[str, None] = {}
    for key, name, records in configurations(study):
        derived = [_derived(record, options.supply, sources) for record in records]
        row: TableRow = {"work": key.name, "configuration": name, "kind": key.kind, "n": len(records)}
        for quantity in QUANTITIES:
            known = [value for one in derived if (value := one.get(quantity)) is not None]
            row[quantity] = summarise(known).median if known else None
        rows.append(row)
    data = pd.DataFrame(rows)
    if not rows or data[list(QUANTITIES)].isna().all(axis=None):
        return None
    price = options.supply.price
    currency = "" if price is None else price.currency
    titles = {
        "g_per_kWh": ("Stated intensity", "g CO2e/kWh"),
        "carbon": ("Carbon", "g CO2e/million samples"),
        "carbon_job": ("Carbon of the job", "g CO2e"),
        "cost": ("Cost", f"{currency}/million samples"),
        "cost_job": ("Cost of the job", currency),
    }
    shown = [Column(key, *titles[key], NUMBER) for key in QUANTITIES if data[key].notna().any()]
    columns = (*work_columns(data), Column("n", "n", kind=NUMBER), *shown)
    return Table(
        "carbon_and_cost", "Carbon and cost (derived, not measured)", _caption(study, data, sources, options), columns, data
    )


def _derived(record: MeasuredStudyRecord, supply: Supply, sources: dict[str, None]) -> dict[str, float]:
    """What follows for one record, by ``QUANTITIES``; intensities that are used are added to ``sources``."""
    energy, known = record.energy, {}
    intensity = supply.intensity or _stated(record)
    if energy.per_sample_J is None or (intensity is None and supply.price is None):
        return {}
    job = job_joules(record)
    if intensity is not None:
        sources[intensity.source] = None
        windows = [_mean(record, intensity, window.start_s, window.end_s) for window in record.time.windows]
        lengths = [window.end_s - window.start_s for window in record.time.windows]
        known["g_per_kWh"] = sum(value * length for value, length in zip(windows, lengths, strict=True)) / sum(lengths)
        known["carbon"] = energy.per_sample_J * MILLION / J_PER_KWH * known["g_per_kWh"]
        if job is not None:
            known["carbon_job"] = job.whole_J / J_PER_KWH * _mean(record, intensity, 0.0, job.seconds)
    if supply.price is not None:
        known["cost"] = energy.per_sample_J * MILLION / J_PER_KWH * supply.price.per_kWh
        if job is not None:
            known["cost_job"] = job.whole_J / J_PER_KWH * supply.price.per_kWh
    return known


def _stated(record: MeasuredStudyRecord) -> Intensity | None:
    """The intensity that the point was configured with (``energy.carbon``)."""
    carbon = record.energy.carbon
    return None if carbon is None else Intensity.constant(carbon.g_per_kWh, f"{carbon.source} (energy.carbon)")


def _mean(record: MeasuredStudyRecord, intensity: Intensity, first_s: float, last_s: float) -> float:
    """The mean intensity of a stretch of the run; a point without a civil time has none in a series."""
    started = record.environment.started
    if started is None and len(intensity.begins_ns):
        raise UserError(f"--co2: {record.point.name} does not say when it ran (environment.started); give a number")
    begin_s = 0.0 if started is None else datetime.fromisoformat(started).astimezone(timezone.utc).timestamp()
    return intensity.mean(record.point.name, round(1e9 * (begin_s + first_s)), round(1e9 * (begin_s + last_s)))


def _caption(study: Study, data: pd.DataFrame, sources: Sequence[str] | dict[str, None], options: TableOptions) -> str:
    price = options.supply.price
    stated = [f"the intensity that {join(list(sources))} states"] if sources else []
    stated += [f"a price of {short(price.per_kWh)} {price.currency} per kWh"] if price is not None else []
    whole = {"carbon_job", "cost_job"} & _known(data)
    job = " The job has its start-up, rests, warm-up and evaluation, as far as they were read." if whole else ""
    return (
        f"Derived, not measured: joules, {kinds_of(study)}, idle power included, times {join(stated)}, as the user states "
        f"them. Medians over repeats; no interval, for nobody states that of the factors.{job} Only the operation of the "
        "hosts whose power is known: neither their making, nor cooling, nor what no meter has."
    )


def _known(data: pd.DataFrame) -> set[str]:
    return {str(key) for key in QUANTITIES if data[key].notna().any()}
