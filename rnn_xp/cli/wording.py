"""Numbers and names as they are shown to people."""

NAMES = {"char": "character", "byte": "byte", "word": "word"}


def singular(level: str) -> str:
    """``character`` for ``char``."""
    return NAMES[level]


def plural(level: str) -> str:
    """``characters`` for ``char``."""
    return f"{NAMES[level]}s"


def validation(value: float, level: str) -> str:
    """The validation number of a run (``valid_perplexity`` or ``valid_bits_per_char``)."""
    return f"perplexity {value:.2f}" if level == "word" else f"{value:.3f} bits per {NAMES[level]}"
