"""What a user sees while a run goes on."""

from simprune.progress import Progress


def test_in_a_log_a_line_is_left_for_what_is_said_and_none_for_a_step(capsys):
    progress = Progress()
    with progress.steps("seed 3: training", 2) as steps:
        steps.begin("level 0")
        steps.advance("level [0]")
        steps.say("level 0: density [1]")
    assert capsys.readouterr().err == "seed 3, level 0: density [1]\n"


def test_on_a_terminal_the_bar_counts_the_steps(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with Progress().steps("seed 0: training", 2) as steps:
        steps.advance("level 0")
        steps.advance("level 1")
    assert "seed 0: training, level 1" in (said := capsys.readouterr().err) and "2/2" in said
