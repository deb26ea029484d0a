"""The README's ten lines do what they say; that its code runs is tested with the other pages."""

from code_blocks import run, tagged


def test_ten_lines_train_and_sample(capsys):
    run(tagged("README.md", "ten-lines"))
    loss, _, sample = capsys.readouterr().out.partition(" ")
    assert float(loss) < 0.5
    assert sample.startswith("the ")
