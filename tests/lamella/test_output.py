"""Progress where nobody looks at a terminal."""

import argparse
import re

from lamella import output


def test_a_log_gets_a_line_a_minute(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    with output.progress(argparse.Namespace(quiet=False), "float") as step:
        for done in range(1, 241):
            now[0] = float(done)
            step(done, 240)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert re.fullmatch(r"float: 60 of 240, 3 min left", lines[0])


def test_a_resumed_run_tells_the_time_that_is_left_from_its_own_pace(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    with output.progress(argparse.Namespace(quiet=False), "float") as step:
        for second in range(61):
            now[0] = float(second)
            step(1000 + second, 1660)
    assert capsys.readouterr().err == "float: 1060 of 1660, 10 min left\n"


def test_quiet_says_nothing(monkeypatch, capsys):
    monkeypatch.setattr(output, "SECONDS_BETWEEN_LINES", 0.0)
    with output.progress(argparse.Namespace(quiet=True), "float") as step:
        step(1, 2)
    assert capsys.readouterr().err == ""
