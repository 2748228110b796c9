"""Charts from plain numbers, each a complete SVG image that follows the reader's light or dark."""

from penjing.report.bars import bar_chart, grouped_bar_chart
from penjing.report.lines import Point, Series, line_chart

__all__ = ["Point", "Series", "bar_chart", "grouped_bar_chart", "line_chart"]
