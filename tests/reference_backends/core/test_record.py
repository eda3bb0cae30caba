"""Session to record and back: what is sealed, what can be opened, and the errors if it cannot."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from reference_backends import DecryptionError, InvalidSessionError, Keyring, SessionData, StorageError
from reference_backends.core.record import RecordCodec, from_wire, to_wire

Build = Callable[..., SessionData]

SECRET = "s3cr3t-canary"


@pytest.fixture
def full(session: Build) -> SessionData:
    return session(
        tokens={"access_token": SECRET},
        headers={"Authorization": SECRET},
        code_verifier=SECRET,
        client_information={"client_id": "c", "client_secret": SECRET, "redirect_uris": ["r"]},
        server_name="name",
        active=False,
    )


@pytest.fixture
def keyed(key: str) -> RecordCodec:
    return RecordCodec(Keyring(key))


@pytest.fixture
def plain() -> RecordCodec:
    return RecordCodec(None)


def test_a_record_gives_its_session_back(full: SessionData, keyed: RecordCodec, plain: RecordCodec) -> None:
    assert keyed.session(keyed.record(full)) == full
    assert plain.session(plain.record(full)) == full


def test_absent_fields_are_left_out(session: Build, plain: RecordCodec) -> None:
    assert "tokens" not in plain.record(session())
    assert plain.record(session(tokens={}))["tokens"] == {}


def test_with_a_key_no_secret_is_left_in_clear(full: SessionData, keyed: RecordCodec) -> None:
    record = keyed.record(full)
    assert SECRET not in repr(record)
    assert record["client_information"]["redirect_uris"] == ["r"]
    assert full.client_information is not None
    assert full.client_information["client_secret"] == SECRET


def test_a_store_that_upstream_reads_seals_tokens_and_headers_only(full: SessionData, key: str) -> None:
    record = RecordCodec(Keyring(key), seal_all=False).record(full)
    assert record["tokens"].startswith("enc:1:")
    assert record["headers"].startswith("enc:1:")
    assert record["code_verifier"] == SECRET
    assert record["client_information"]["client_secret"] == SECRET


@pytest.mark.parametrize("secret", [None, "", 5, ["a"], {"a": 1}])
def test_a_client_secret_of_any_kind_comes_back(session: Build, keyed: RecordCodec, secret: object) -> None:
    built = session(client_information={"client_secret": secret})
    assert keyed.session(keyed.record(built)) == built


def test_an_update_replaces_removes_and_keeps(full: SessionData, keyed: RecordCodec) -> None:
    record = keyed.record(full)
    updated = keyed.updated(record, {"server_name": None, "tokens": {"access_token": "new"}, "active": None})
    assert updated["headers"] == record["headers"]
    session = keyed.session(updated)
    assert session.tokens == {"access_token": "new"}
    assert session.server_name is None
    assert session.active is None
    assert session.headers == full.headers
    assert "server_name" not in updated


def test_an_update_neither_opens_nor_needs_the_right_key(full: SessionData, keyed: RecordCodec, other_key: str) -> None:
    record = keyed.record(full)
    updated = RecordCodec(Keyring(other_key)).updated(record, {"server_name": "new"})
    assert {field: updated[field] for field in ("tokens", "headers", "code_verifier", "client_information")} == {
        field: record[field] for field in ("tokens", "headers", "code_verifier", "client_information")
    }


def test_an_update_seals_secrets_in_clear(full: SessionData, keyed: RecordCodec, plain: RecordCodec) -> None:
    record = plain.record(full)
    updated = keyed.updated(record, {"server_name": "new"})
    assert SECRET not in repr(updated)
    assert keyed.session(updated).tokens == full.tokens


def test_a_stored_secret_that_cannot_be_sealed_is_damaged(
    full: SessionData, keyed: RecordCodec, plain: RecordCodec
) -> None:
    record = plain.record(full) | {"tokens": {"access_token": "\ud800"}}  # JSON may hold it, UTF-8 may not
    with pytest.raises(StorageError, match="damaged") as raised:
        keyed.updated(record, {"server_name": "n"})
    assert not isinstance(raised.value, InvalidSessionError)
    assert raised.value.__context__ is None
    assert keyed.updated(record, {"tokens": {"access_token": "new"}})["tokens"].startswith("enc:1:")


SECRETS = ("tokens", "headers", "code_verifier", "client_information")


@pytest.mark.parametrize("before", ["in clear", "an old key", "the first key", "some of each"])
@pytest.mark.parametrize("seal_all", [True, False])
def test_resealing_leaves_the_first_key_alone(
    full: SessionData, keyed: RecordCodec, plain: RecordCodec, key: str, other_key: str, before: str, seal_all: bool
) -> None:
    old = RecordCodec(Keyring(other_key))
    record = {"in clear": plain, "an old key": old, "the first key": keyed, "some of each": keyed}[before].record(full)
    if before == "some of each":
        record |= {"tokens": old.record(full)["tokens"], "headers": full.headers}
    both = RecordCodec(Keyring([key, other_key]), seal_all=seal_all)
    resealed = both.resealed(record)
    assert (resealed is record) == (before == "the first key")
    assert both.resealed(resealed) is resealed
    alone = RecordCodec(Keyring(key), seal_all=seal_all)
    assert alone.session(resealed) == full
    sealed = ("tokens", "headers") if before == "in clear" and not seal_all else SECRETS
    assert all(SECRET not in repr(resealed[field]) for field in sealed)
    kept = [field for field in SECRETS if before == "some of each" and field not in ("tokens", "headers")]
    assert all(resealed[field] == record[field] for field in kept)


def test_resealing_refuses_what_no_key_opens(full: SessionData, keyed: RecordCodec, other_key: str) -> None:
    with pytest.raises(DecryptionError, match="tokens of session") as raised:
        RecordCodec(Keyring(other_key)).resealed(keyed.record(full))
    assert raised.value.session_id == full.session_id


def test_another_programs_fields_stay(session: Build, plain: RecordCodec) -> None:
    record = {**plain.record(session()), "theirs": {"a": None}, "nothing": None}
    updated = plain.updated(record, {"server_name": "n"})
    assert updated["theirs"] == {"a": None}
    assert updated["nothing"] is None
    assert plain.session(updated) == session(server_name="n")


def test_a_sealed_record_stays_as_it_is(full: SessionData, keyed: RecordCodec) -> None:
    record = keyed.record(full)
    assert keyed.seal_clear(record) is record


def test_clear_records_stay_readable_with_a_key(full: SessionData, keyed: RecordCodec, plain: RecordCodec) -> None:
    assert keyed.session(plain.record(full)) == full


def refused(codec: RecordCodec, record: dict[str, Any], field: str, why: str = "") -> None:
    with pytest.raises(DecryptionError, match=f"{field} of session 's1' cannot be decrypted: {why}") as caught:
        codec.session(record)
    error = caught.value
    assert error.session_id == "s1"
    assert error.__context__ is None
    assert error.__cause__ is None
    shown = "".join(traceback.format_exception_only(error))
    assert SECRET not in shown
    assert "enc:1:" not in shown.replace("enc:1:<iv>", "")


@pytest.mark.parametrize("field", ["tokens", "headers", "code_verifier"])
def test_a_sealed_field_needs_its_key(
    full: SessionData, keyed: RecordCodec, plain: RecordCodec, other_key: str, field: str
) -> None:
    record = plain.record(full) | {field: keyed.record(full)[field]}
    refused(plain, record, field, "no encryption key is set")
    refused(RecordCodec(Keyring(other_key)), record, field, "it was changed, or sealed with another key")


def test_a_sealed_client_secret_needs_its_key(full: SessionData, keyed: RecordCodec, plain: RecordCodec) -> None:
    record = plain.record(full) | {"client_information": keyed.record(full)["client_information"]}
    refused(plain, record, "client_secret", "no encryption key is set")


@pytest.mark.parametrize("codec", ["keyed", "plain"])
@pytest.mark.parametrize("stored", [f"text {SECRET}", "", 5, True, [SECRET], f"enc:2:{SECRET}", f"ENC:1:{SECRET}"])
def test_what_is_neither_an_object_nor_an_envelope_is_refused(
    full: SessionData, plain: RecordCodec, stored: object, codec: str, request: pytest.FixtureRequest
) -> None:
    refused(request.getfixturevalue(codec), plain.record(full) | {"tokens": stored}, "tokens")


@pytest.mark.parametrize("stored", [f"text {SECRET}", 5, [SECRET]])
def test_what_no_key_would_open_asks_for_none(full: SessionData, plain: RecordCodec, stored: object) -> None:
    refused(plain, plain.record(full) | {"tokens": stored}, "tokens", "it is neither an object nor an envelope")


def test_an_envelope_of_another_kind_of_value_is_refused(full: SessionData, keyed: RecordCodec, key: str) -> None:
    keyring = Keyring(key)
    refused(keyed, keyed.record(full) | {"tokens": keyring.seal([SECRET])}, "tokens")
    refused(keyed, keyed.record(full) | {"headers": keyring.seal(SECRET)}, "headers")
    refused(keyed, keyed.record(full) | {"code_verifier": keyring.seal({"a": SECRET})}, "code_verifier")


def test_a_record_that_is_no_session_is_damaged(full: SessionData, plain: RecordCodec) -> None:
    record = plain.record(full) | {"created_at": SECRET}
    with pytest.raises(StorageError, match="'s1' is damaged") as caught:
        plain.session(record)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_the_wire_is_camel_case(full: SessionData, plain: RecordCodec) -> None:
    record = {**plain.record(full), "theirs": 1}
    row = to_wire(record)
    assert row["sessionId"] == "s1"
    assert row["codeVerifier"] == SECRET
    assert row["clientInformation"]["client_id"] == "c"
    assert row["theirs"] == 1
    assert from_wire(row) == record
