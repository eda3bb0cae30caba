"""What the hooks of a judging run call: collect the suite, gather measurements, judge them, and print the summary."""

from __future__ import annotations

import datetime
import gc
import json
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage.engine.loop import patched_by
from pytest_mcp_storage.report import terminal
from pytest_mcp_storage.report.causes import add_causes
from pytest_mcp_storage.report.model import Report
from pytest_mcp_storage.report.write import write
from pytest_mcp_storage.session import ci, failures, leaks, options, repeats, running
from pytest_mcp_storage.session.backends import resolve
from pytest_mcp_storage.session.collection import ClauseItem, suite_nodes
from pytest_mcp_storage.session.deviations import Deviation, DeviationsError, load_deviations
from pytest_mcp_storage.session.formatting import FailureText, explained
from pytest_mcp_storage.session.leaks import Leak
from pytest_mcp_storage.session.loading import BackendNameError
from pytest_mcp_storage.session.reproducers import add_reproducers
from pytest_mcp_storage.session.run import PATCHED, Run
from pytest_mcp_storage.session.suite_paths import suite_id
from pytest_mcp_storage.session.verdict import judge, left_alone, passes
from pytest_mcp_storage.spec.clauses import Level
from pytest_mcp_storage.spec.outcome import Measurement, Outcome

STATUS = {
    "fault": ("failed", "F", "NOT MEASURED"),
    "deviation": ("deviation", "d", "DEVIATION"),
    "advice": ("failed SHOULD", "a", "FAILED SHOULD"),
    "not_applicable": ("not applicable", "-", "NOT APPLICABLE"),
    "not_measured": ("not measured", "?", "NOT MEASURED"),
}
"""Words for a test's result in pytest's progress and summary, if they differ from pytest's own."""
LEFT_BEHIND = "mcp_left_behind"
"""The key under which xdist's workers send stores that they could not destroy."""


ARCS = "mcp_arcs"
"""The key under which xdist's workers send what has run of the stores' code."""


class Judging:
    """A run that judges backends. In xdist's workers it only measures; the controller judges."""

    def __init__(self, config: pytest.Config) -> None:
        if library := patched_by():
            raise pytest.UsageError(f"--mcp-backend: {PATCHED.format(library)}")
        self.config = config
        self.is_worker = hasattr(config, "workerinput")
        self.options = options.read(config)
        self.deviations = self._deviations()
        try:
            makers = {name: resolve(name, *options.folders(config)) for name in self.options.backends}
        except BackendNameError as error:
            raise pytest.UsageError(str(error)) from None
        self.run = Run(self.options, makers, self._say, failures.known(config))
        self.report: Report | None = None
        self._today = datetime.datetime.now(datetime.UTC).date()
        self._measured: defaultdict[str, list[Measurement]] = defaultdict(list)
        self._described: dict[str, dict[str, Any]] = {}
        self._leaks: list[Leak] = []
        self._advice: list[str] = []
        self._faults: dict[tuple[str, str], str] = {}
        self._left_behind: list[str] = []
        self._arcs: list[dict[str, Any]] = []
        self._written: list[Path] = []
        self._hidden = 0
        self._running: running.Running | None = None
        ids = {argument: suite_id(argument, config) for argument in config.args}
        self._wanted = [id for id in ids.values() if id is not None]
        self.stays_out = not self._wanted and options.stays_out(config)
        config.args[:] = [argument for argument in config.args if ids[argument] is None]

    def header(self) -> str:
        """Return the line about this run in pytest's header."""
        names = ", ".join(self.options.backends)
        if self.stays_out:
            return f"mcp-storage: tests are named, so {names} is not judged; add --mcp-backend to judge it in this run"
        slow = " · tracemalloc is on, which makes the suite about 25 times slower" if tracemalloc.is_tracing() else ""
        return f"mcp-storage: judging {names} · tier {self.options.tier.name} · seed {self.options.seed}{slow}"

    def collect(self, session: pytest.Session, report: pytest.CollectReport) -> None:
        """Add the suite to what the session has collected."""
        if not self.stays_out:
            report.result = [*(report.result or ()), *suite_nodes(session, self.run, self._wanted)]

    def begin(self, session: pytest.Session) -> None:
        """Before the first test: plan the run, print no line for each module, and on a terminal say which test runs."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and session.items and all(isinstance(each, ClauseItem) for each in session.items):
            reporter.showfspath = False
        if not self.is_worker:  # which learns test by test what it gets
            for item in session.items:
                if isinstance(item, ClauseItem):
                    self.run.planned.setdefault(item.backend, []).append(item.test)
        self._running = running.started(self.config)

    def attach_result(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Give the report of a clause test the measured outcome, and attach the measurement to it."""
        if not isinstance(item, ClauseItem):
            return
        traceback = self._leaked(item, call, report)
        if item.measurement is None or report.when != "call":
            return
        measured, clause = item.measurement, self.run.clauses[item.measurement.clause]
        about = self.run.describe(item.backend)
        category = self._category(item.backend, measured)
        reproduce = self.options.reproduce(item.backend, clause.id, measured.seed)
        report.sections.clear()  # what the store logged meanwhile; the history says more, and holds no secret
        if category in ("failed", "fault"):
            report.outcome = "failed"
            text = self._once(item, measured, explained(measured, clause, about, reproduce))
            report.longrepr = f"{text}\n\n{traceback}".rstrip()
        elif traceback:
            category, report.outcome, report.longrepr = "failed", "failed", traceback
        elif category != "passed":
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.reportinfo()[1] + 1, f"{clause.id}: {measured.message}")
        report.mcp = {  # type: ignore[attr-defined]
            "category": category, "outcome": report.outcome,
            "backend": json.dumps(about), "measured": json.dumps(measured.to_json()),
            "advice": explained(measured, clause, about, reproduce) if category == "advice" else "",
        }  # fmt: skip

    def status(self, report: Any) -> tuple[str, str, str] | None:
        """Return category, letter and word of a clause test; none if another plugin has changed its outcome."""
        ours = getattr(report, "mcp", None)
        return STATUS.get(ours["category"]) if ours and ours["outcome"] == report.outcome else None

    def collect_report(self, report: pytest.TestReport) -> None:
        """Collect a measurement, from this process or from a worker."""
        if isinstance(report.longrepr, str) and (hasattr(report, "mcp") or hasattr(report, "mcp_leak")):
            report.longrepr = FailureText(report.longrepr)  # type: ignore[assignment]
        if hasattr(report, "mcp_leak"):
            self._leaks.append(Leak(**report.mcp_leak))
        if hasattr(report, "mcp"):
            about = json.loads(report.mcp["backend"])
            known = self._described.setdefault(about["name"], about)
            known.update({key: value for key, value in about.items() if value})
            self._advice += [report.mcp["advice"]] if report.mcp["advice"] else []
            self._measured[about["name"]].append(Measurement.from_json(json.loads(report.mcp["measured"])))

    def collect_leftovers(self, worker: Any) -> None:
        """Collect what a worker of xdist could not destroy, and which branches it ran.

        A worker that died sends nothing.
        """
        output = getattr(worker, "workeroutput", {})
        self._left_behind += output.get(LEFT_BEHIND, [])
        self._arcs += [json.loads(output[ARCS])] if ARCS in output else []

    def finish(self, session: pytest.Session) -> None:
        """Destroy the stores; in the controller also judge, write the reports and set the exit code."""
        with leaks.end_of_run(self._left_behind):
            self._left_behind += self.run.close()
        gc.unfreeze()
        if self.is_worker:
            output: dict[str, Any] = self.config.workeroutput  # type: ignore[attr-defined]  # xdist's
            output[LEFT_BEHIND] = self._left_behind
            output[ARCS] = json.dumps(self.run.arcs())
            return
        if self.config.option.collectonly or self.stays_out:
            return
        self.report = judge(self.options, self.deviations, self._measured, self._described)
        self.report.problems += [*leaks.problems(self._leaks), *self._left_behind]
        self._add_exercised(self.report)
        failures.keep(self.config, self._measured, self.options)
        add_reproducers(self.report, self.run.clauses, self.options.repro, self.config.invocation_params.dir)
        for backend in self.report.backends:
            add_causes(backend)
        for path in self.options.reports:
            try:
                write(self.report, path)
                self._written.append(path)
            except OSError as error:  # it could be written when the run began
                self.report.problems.append(f"{path} can't be written: {error.strerror}")
        ci.write_summary(self.report)
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            good = passes(self.options, self.report)
            session.exitstatus = pytest.ExitCode.OK if good else pytest.ExitCode.TESTS_FAILED

    @contextmanager
    def one_failure_a_cause(self, reporter: Any) -> Iterator[None]:
        """Meanwhile let pytest show one failure of each cause, unless the run is verbose."""
        hidden = [] if self.report is None or reporter.verbosity > 0 else repeats.repeated(self.report, reporter)
        self._hidden = len(hidden)
        with repeats.hidden(hidden, reporter):
            yield

    def show(self, reporter: Any) -> None:
        """Print the summary at the end of the run."""
        if self.report is None:
            return
        if self._advice:
            reporter.section("SHOULD clauses that failed; --mcp-strict makes them fail the run")
            reporter.line("\n\n".join(self._advice))
        reporter.section("MCP storage conformance")
        terminal.show(self.report, reporter, brief=self.config.option.verbose < 0)
        for line in ci.annotation_lines(self.report, self.run.makers):
            reporter.line(line)
        for remark in left_alone(self.options, self.deviations):
            reporter.line(f"note: {remark}")
        for path in self._written:
            reporter.line(f"report: {path}")
        for line in repeats.about(self.report, self._hidden):
            reporter.line(line)

    def _say(self, text: str) -> None:
        """Print to the terminal, past pytest's capture; workers of xdist have none."""
        manager = self.config.pluginmanager
        reporter, capture = manager.get_plugin("terminalreporter"), manager.get_plugin("capturemanager")
        if self._running is not None:
            self._running.erase()
        if reporter is not None and capture is not None:
            with capture.global_and_fixture_disabled():
                reporter.ensure_newline()
                reporter.line(f"mcp-storage: {text}")

    def _once(self, item: ClauseItem, measured: Measurement, text: str) -> str:
        """Return the text of a failure; for a harness fault that was shown before, only a reference to it."""
        if measured.outcome is not Outcome.NOT_MEASURED:
            return text
        first = self._faults.setdefault((item.backend, measured.message), item.nodeid)
        if first == item.nodeid:
            return text
        return f"{measured.clause}: not measured: {measured.message}\n  the same fault as in {first}, shown there"

    def _leaked(self, item: ClauseItem, call: pytest.CallInfo[None], report: pytest.TestReport) -> str:
        """Note a failure of a clause test that is not its judgement. Return the text of the failure, or none."""
        if not report.failed or call.excinfo is None or (item.measurement is None and report.when == "call"):
            return ""
        error = call.excinfo.value
        leak = Leak(item.backend, item.test.clause, item.test.name, leaks.what_failed(error))
        report.mcp_leak = asdict(leak)  # type: ignore[attr-defined]
        text = leaks.explained(leak, error, report.longreprtext)
        report.longrepr = text
        return text

    def _category(self, backend: str, measured: Measurement) -> str:
        if measured.outcome is Outcome.NOT_MEASURED:
            return "fault" if measured.fault else "not_measured"
        if measured.outcome is not Outcome.FAILED:
            return str(measured.outcome.value)
        if any(each.covers(backend, measured.clause, self._today) for each in self.deviations):
            return "deviation"
        should = self.run.clauses[measured.clause].level is Level.SHOULD
        return "advice" if should and not self.options.strict else "failed"

    def _add_exercised(self, report: Report) -> None:
        """Add how much of each store's code has run, in this process and in the workers."""
        if not self.options.coverage:
            return
        from pytest_mcp_storage.engine.exercised import exercised

        parts = [*self._arcs, self.run.arcs()]
        for backend in report.backends:
            backend.exercised = exercised(part[backend.name] for part in parts if backend.name in part)

    def _deviations(self) -> tuple[Deviation, ...]:
        if self.options.deviations is None:
            return ()
        try:
            return load_deviations(self.options.deviations, (clause.id for clause in self.options.clauses))
        except DeviationsError as error:
            raise pytest.UsageError(str(error)) from None
