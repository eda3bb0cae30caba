"""The result for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pytest_mcp_storage.report.escaping import one_line
from pytest_mcp_storage.speed import words
from pytest_mcp_storage.speed.operations import OPERATIONS
from pytest_mcp_storage.speed.result import BenchResult, StoreResult
from pytest_mcp_storage.speed.run import CALLERS


def show(result: BenchResult, console: Console) -> None:
    """Print the figures side by side, then what was found in each store."""
    stores = [store for store in result.stores if not store.refused]
    for callers in CALLERS:
        _title(f"{callers} caller{'s' if callers > 1 else ''}: calls a second, p50 · p99 of a call", console)
        console.print(_speeds(stores, callers))
    _title("Growth of the 10th percentile with the sessions of others", console)
    console.print(_growth(stores))
    for store in result.stores:
        _details(store, console)
    console.print(Text(f"\n{result.machine}", style="dim"))


def _speeds(stores: list[StoreResult], callers: int) -> Table:
    table = _table(stores)
    for operation in OPERATIONS:
        cells = []
        for store in stores:
            speed = store.speed(operation.name, callers)
            figures = f"{words.duration(speed.p50_ms)}·{words.duration(speed.p99_ms)}".replace(" ", "") if speed else ""
            cells.append(f"{words.rate(speed.per_second)}\n{figures}" if speed else "-\n")
        table.add_row(operation.name, *cells)
    return table


def _growth(stores: list[StoreResult]) -> Table:
    table = _table(stores)
    for name in dict.fromkeys(each.operation for store in stores for each in store.growth):
        cells = []
        for store in stores:
            found = next((each for each in store.growth if each.operation == name), None)
            judged = found is not None and found.exponent is not None
            text = f"{words.times(found.factor)} for {words.times(found.sizes)}" if found and judged else "-"
            cells.append(Text(text, style="bold red" if found and found.grows else ""))
        table.add_row(name, *cells)
    return table


def _title(text: str, console: Console) -> None:
    console.print(Text(f"\n{text}", style="bold underline"))


def _table(stores: list[StoreResult]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for store in stores:
        table.add_column(Text(one_line(store.name), style="dim" if store.compared else "bold"), justify="right")
    return table


def _details(store: StoreResult, console: Console) -> None:
    found = list(words.findings(store))
    if not (found or store.notes or store.refused):
        return
    console.print(Text(f"\n{one_line(store.name)}", style="bold"))
    if store.refused:
        console.print(Text(f"  not measured: {store.refused}", style="dim" if store.compared else "red"))
    for line in found:
        console.print(Text(f"  {line}", style="" if store.compared else "red"))
    for line in store.notes:
        console.print(Text(f"  {line}", style="dim"))
