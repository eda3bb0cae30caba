"""What a store logs is captured: from any logger, at any level, and along an exception's whole chain."""

from __future__ import annotations

import logging
import warnings

import pytest

from pytest_mcp_storage.canary.canaries import Canaries
from pytest_mcp_storage.canary.log_capture import LogCapture, texts_of


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture
def secret(canaries: Canaries) -> str:
    return canaries.secret("the token")


def test_silence_is_no_leak(canaries: Canaries, secret: str) -> None:
    with LogCapture() as captured:
        logging.getLogger("store").debug("created %s", "s1")
        captured.take("a read", {"session_id": "s1"})
    assert captured.leak(canaries) == ""
    assert [record.getMessage() for record in captured.records] == ["created s1"]


def test_a_debug_record_is_heard(canaries: Canaries, secret: str) -> None:
    with LogCapture() as captured:
        logging.getLogger("store").debug("%s", secret)
    assert captured.leak(canaries) == "a log record of store shows the token (in clear)"


def test_a_record_that_goes_to_no_other_logger_is_heard(canaries: Canaries, secret: str) -> None:
    logger = logging.getLogger("store.alone")
    logger.propagate = False
    with LogCapture() as captured:
        logger.info("updated", extra={"tokens": {"access_token": secret}})
    assert "store.alone" in captured.leak(canaries)


def test_the_exception_of_a_record_is_heard(canaries: Canaries, secret: str) -> None:
    with LogCapture() as captured:
        try:
            raise ValueError(secret)
        except ValueError:
            logging.getLogger("store").exception("failed")
    assert "the token" in captured.leak(canaries)


def test_a_record_whose_arguments_do_not_fit_is_heard(canaries: Canaries, secret: str) -> None:
    logger = logging.getLogger("store.odd")
    logger.propagate = False  # pytest's own handler would raise
    logger.addHandler(logging.NullHandler())
    with LogCapture() as captured:
        logger.debug("%d tokens", secret)
    assert "the token" in captured.leak(canaries)


def test_each_warning_is_heard_and_none_raised(canaries: Canaries, secret: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with LogCapture() as captured:
            for _ in range(2):
                warnings.warn(f"no key for {secret}", stacklevel=1)
    assert len(captured.warnings) == 2
    assert captured.leak(canaries) == "a Python warning shows the token (in clear)"


def test_afterwards_everything_is_as_it_was(canaries: Canaries) -> None:
    make, level, filters = logging.getLogRecordFactory(), logging.getLogger().level, list(warnings.filters)
    with pytest.raises(KeyError), LogCapture():
        raise KeyError
    assert (logging.getLogRecordFactory(), logging.getLogger().level, list(warnings.filters)) == (make, level, filters)


class Handle:
    def __init__(self, key: str) -> None:
        self.key = key

    def __repr__(self) -> str:
        return f"Handle({self.key})"

    def __str__(self) -> str:
        return "Handle"


def test_a_repr_is_taken(canaries: Canaries, secret: str) -> None:
    captured = LogCapture()
    captured.take("the handle", Handle(secret))
    assert captured.leak(canaries) == "the repr of the handle shows the token (in clear)"


def raised(how: str, secret: str) -> BaseException:
    """Raise an exception that shows no secret itself."""
    try:
        try:
            raise ValueError(secret)
        except ValueError as error:
            if how == "cause":
                raise RuntimeError("failed") from error
            if how == "suppressed":
                raise RuntimeError("failed") from None
            if how == "group":
                raise ExceptionGroup("failed", [error]) from None
            if how == "note":
                noted = RuntimeError("failed")
                noted.add_note(secret)
                raise noted from OSError()
            raise RuntimeError("failed")  # noqa: B904 - the context is what is tried
    except Exception as error:
        return error


@pytest.mark.parametrize("how", ["cause", "context", "suppressed", "group", "note"])
def test_the_whole_chain_of_an_exception_is_taken(canaries: Canaries, secret: str, how: str) -> None:
    captured = LogCapture()
    captured.take("a create", raised(how, secret))
    assert "the token" in captured.leak(canaries)


def test_a_chain_that_bites_its_tail_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__context__ = two, one
    assert {text for _, text in texts_of(one)} == {
        "ValueError: one\n",
        "ValueError: two\n",
        "ValueError('one')",
        "ValueError('two')",
    }
