"""Rows of results: one quantity of lota beside a peer's and beside the machine's bound."""
import statistics

COLUMNS = ["what", "unit", "lota", "peer", "peer's figure", "times better", "bound", "share of bound"]
NUMERIC = {"lota", "peer's figure", "times better", "bound", "share of bound"}


def row(what, unit, ours, peer, theirs, better, bound=None, **details):
    """`ours` and `theirs` are the figures of all runs, of which medians count; `better` is "higher" or "lower"."""
    mine, peers = statistics.median(ours), statistics.median(theirs)
    entry = {
        "what": what,
        "unit": unit,
        "lota": mine,
        "peer": peer,
        "peer's figure": peers,
        "times better": mine / peers if better == "higher" else peers / mine,
        "bound": bound,
        "share of bound": None,
        "lota runs": ours,
        "peer's runs": theirs,
    }
    if bound is not None:
        entry["share of bound"] = mine / bound if better == "higher" else bound / mine
    return entry | details


def render(rows):
    lines = [COLUMNS] + [[cell(entry, column) for column in COLUMNS] for entry in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(COLUMNS))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            text.rjust(width) if column in NUMERIC else text.ljust(width)
            for text, width, column in zip(line, widths, COLUMNS)
        ).rstrip()
        for line in lines
    )


def cell(entry, column):
    value = entry[column]
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if column == "share of bound":
        return f"{100 * value:.0f} %"
    return number(value)


def number(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
