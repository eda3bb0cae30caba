"""pytest's hooks. This module is loaded in every pytest run of the environment, so it imports very little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_mcp_storage.session import options
from pytest_mcp_storage.session.fixtures import RUN, mcp_backend, mcp_backend_harness
from pytest_mcp_storage.session.suite_paths import is_of_the_suite

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pytest_mcp_storage.session.judging import Judging

__all__ = ["mcp_backend", "mcp_backend_harness"]


def pytest_addoption(parser: pytest.Parser) -> None:
    options.register(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before xdist reads the number of its workers
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    options.spread(config)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mcp_conformance(clause): a test of the MCP storage contract, by clause id")
    if options.only_prints(config):
        return
    options.refuse_misspelled(config)
    if not options.names_given(config):
        options.refuse_without_backend(config)
        return
    from pytest_mcp_storage.session.judging import Judging

    judging = Judging(config)
    config.stash[RUN] = judging.run
    config.pluginmanager.register(JudgingHooks(judging), "mcp-storage-judging")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "mcp_backend_harness" in metafunc.fixturenames:
        names = options.names_given(metafunc.config)
        none = pytest.param("none", marks=pytest.mark.skip(reason="not measured: name a store with --mcp-backend"))
        metafunc.parametrize("mcp_backend_harness", names or [none], indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if is_of_the_suite(collection_path) else None


class JudgingHooks:
    """The hooks of a run that judges backends; other runs do not register them."""

    def __init__(self, judging: Judging) -> None:
        self.judging = judging

    def pytest_report_header(self) -> str:
        return self.judging.header()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[options.SEED] = self.judging.options.seed  # a hook of xdist

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        from pytest_mcp_storage.session.distribution import scheduler

        return scheduler(config, log, len(self.judging.options.backends))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.judging.collect_leftovers(node)  # a hook of xdist

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if isinstance(collector, pytest.Session):
            self.judging.collect(collector, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        self.judging.begin(session)

    @pytest.hookimpl(wrapper=True, trylast=True)  # innermost: other plugins see the measured outcome
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        self.judging.attach_result(item, call, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        return self.judging.status(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.judging.collect_report(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.judging.finish(session)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, None, None]:
        with self.judging.one_failure_a_cause(terminalreporter):
            yield  # after pytest's own list of failures: the verdict is the last thing on the screen
        self.judging.show(terminalreporter)
