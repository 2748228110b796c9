"""What was taken out of a text, in words."""

from collections.abc import Iterator

from penjing.data.doctor.cleaning import Cleaned
from penjing.data.doctor.verdict import REASONS
from penjing.data.doctor.words import WORDS, Language
from penjing.report.units import plural, size


def account(cleaned: Cleaned, language: Language) -> Iterator[str]:
    """A line for each thing that was taken out, and one for what was kept."""
    words = WORDS[language]
    for file in cleaned.repaired:
        if file.repaired:
            yield words["taken_bytes"].format(
                name=file.name,
                n=f"{file.repaired:,}",
                bytes=plural(file.repaired, "byte"),
                encoding=(file.encoding or "?").upper(),
            )
        if file.skipped:
            yield words["taken_rows"].format(
                name=file.name, n=f"{file.skipped:,}", lines=plural(file.skipped, "line")
            )
    for reason in REASONS:
        if n := cleaned.taken[reason]:
            yield words["taken_documents"].format(
                n=f"{n:,}",
                counted=plural(n, "document"),
                size=size(cleaned.taken_bytes[reason]),
                why=words[f"clean_{reason}"],
            )
    trimmed = cleaned.trimmed
    if trimmed.lines:
        yield words["taken_lines"].format(
            n=f"{trimmed.lines:,}",
            size=size(trimmed.line_bytes),
            lines=plural(trimmed.lines, "line"),
            documents=f"{trimmed.line_documents:,}",
            counted=plural(trimmed.line_documents, "document"),
        )
    for kind, n in trimmed.characters.items():
        yield words["taken_characters"].format(
            n=f"{n:,}",
            kind=words[f"kind_{kind}"],
            documents=f"{trimmed.documents[kind]:,}",
            counted=plural(trimmed.documents[kind], "document"),
        )
    yield words["kept"].format(
        n=f"{cleaned.kept:,}",
        all=f"{cleaned.documents:,}",
        size=size(cleaned.kept_bytes),
        whole=size(cleaned.n_bytes),
        path=cleaned.path,
    )
