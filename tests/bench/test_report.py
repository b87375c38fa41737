"""The tables are printed whatever was measured."""

import pytest

from bed import Result
from contest import OURS_LISTS
from disk import Growth
from figures import Rate, Spread
from queries import GET, MONTH_COUNT, MONTH_PAGE, NEWEST_PAGE, VEHICLE_PAGE, Answered, Scanned
from report import print_figures
from usage import Usage

QUERIES = (MONTH_PAGE, NEWEST_PAGE, MONTH_COUNT, GET, VEHICLE_PAGE)


def test_a_run_that_broke_off_at_once_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_figures(Result(period=1))
    assert "caught up in: not measured" in capsys.readouterr().out


def test_every_figure_is_printed_in_its_unit(capsys: pytest.CaptureFixture[str]) -> None:
    result = Result(period=2, measured_period=2.01, week=12.5)
    result.latencies = {"ours": Spread.of([1.0, 3.0])}
    result.rates = {OURS_LISTS: Rate([(300, 1), (100, 1)])}
    usage = Usage(200, {"client": 0.5}, {"client": 64 * 2**20})
    result.usage = {
        OURS_LISTS: usage,
        "growth to 500": Usage(100, {"client": 1}, {"client": 2**20}),
    }
    result.queries = {500: {name: Answered(Spread.of([0.0215]), right=True) for name in QUERIES}}
    gone = Scanned(None, right=True, failure="out of gas")
    result.scans = {500: {MONTH_PAGE: Scanned(Spread.of([0.05]), right=True), NEWEST_PAGE: gone}}
    result.disk = {
        "in batches": Growth(100, 7, {"geth, station": 1_000}, {"geth, station": 151_000})
    }
    print_figures(result)
    out = " ".join(capsys.readouterr().out.split())
    for line in (
        "| ours | 2 | 1.00 | 3.00 | 3.00 | 0.50 | 1.50 | 1.50 |",
        "| ours, in batches | 400 | 200.0 | 300 100 | | |",
        "| get by id | 21.5 | 21.5 |",
        f"{NEWEST_PAGE} at 500: out of gas",
        "| in batches | 100 | 7 | 1,500 |",
        "| client | 2.50 | 10.00 | 64 | 1 |",
        "block period: 2 s; measured: 2.010 s",
        "caught up in: 12.5 s",
    ):
        assert line in out
