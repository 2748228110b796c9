"""Signs in the text and in the plan, before the first step."""

from penjing.train.doctor.history import Finding, History

DUPLICATES = 0.1  # of the documents
OVERLAP = 0.2  # of the validation text: set phrases and quotations are a few per cent
PASSES = 8.0  # up to 4 are nearly as good as new text (Muennighoff et al. 2023)
BITS_PER_PARAMETER = 3.6  # that a GPT can hold by heart (Morris et al. 2025, arXiv 2505.24832)
ROOM = 10.0  # times the text, from which on learning it by heart is the easier way
PASSES_BY_HEART = 4.0  # before which there is no time for it


def duplicate_data(run: History) -> Finding | None:
    """Many documents were copies of others."""
    documents, duplicates = run.data.get("documents", 0), run.data.get("duplicates", 0)
    if not documents or duplicates < DUPLICATES * documents:
        return None
    return Finding(
        f"{duplicates:,} of {documents:,} documents ({duplicates / documents:.0%}) repeat an "
        "earlier one."
    )


def leak(run: History) -> Finding | None:
    """Much of the validation text stands in the training text, word for word."""
    overlap = run.start.get("overlap") or 0.0
    if overlap < OVERLAP:
        return None
    return Finding(f"{overlap:.0%} of the validation text stands in the training text as it is.")


def repeated_data(run: History) -> Finding | None:
    """The run passes over its text many times."""
    epochs = run.start["epochs"]
    if epochs <= PASSES:
        return None
    return Finding(f"The run passes over its {_tokens(run)} {epochs:.0f} times.", "note")


def too_little_data(run: History) -> Finding | None:
    """The model can hold its text by heart many times over, and sees it often enough for that."""
    bigram = run.start.get("baselines", {}).get("bigram")
    parameters = run.model.get("parameters", 0)
    if bigram is None or run.start["epochs"] <= PASSES_BY_HEART:
        return None
    text = run.start["train_tokens"] * run.start["bytes_per_token"] * bigram  # bits
    held = parameters * BITS_PER_PARAMETER
    if held < ROOM * text:
        return None
    return Finding(
        f"{parameters:,} parameters can hold about {held / 8e6:.2g} MB; the {_tokens(run)} of text "
        f"are {text / 8e6:.2g} MB after a bigram model, seen {run.start['epochs']:.0f} times.",
        "note",
    )


def _tokens(run: History) -> str:
    return f"{run.start['train_tokens']:,} tokens"
