"""The command line of the benchmark."""

import pytest

from options import FULL, QUICK, options


def test_a_size_given_overrides_the_quick_ones() -> None:
    chosen = options("", ["--quick", "--sizes", "20000,1000", "--max-batch", "50"])
    assert chosen.extent.sizes == (1_000, 20_000)
    assert chosen.extent.rounds == QUICK.rounds
    assert chosen.settings.max_batch == 50


def test_nothing_given_is_the_whole() -> None:
    assert options("", []).extent == FULL


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--sizes", "100"], "at least 500"),
        (["--rounds", "0"], "at least 1"),
        (["--max-batch", "100000"], "ledger.max_batch"),
    ],
)
def test_what_is_wrong_is_named(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options("", arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
