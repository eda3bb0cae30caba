"""The session: which server, which user, and the OAuth tokens and headers of that user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypedDict, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from reference_backends.core import bounds
from reference_backends.core.bounds import copied
from reference_backends.core.errors import InvalidSessionError

LATEST_MOMENT_MS = 253402300799999
"""The last millisecond of the year 9999: the latest moment that both SQL timestamps and Python's datetime can hold."""

Name = Annotated[str, BeforeValidator(bounds.name)]
Text = Annotated[str, BeforeValidator(bounds.plain_text)]
ClearText = Annotated[str, BeforeValidator(bounds.clear_text)]
Headers = Annotated[dict[str, str], BeforeValidator(bounds.header_object)]
JsonObject = Annotated[dict[str, Any], BeforeValidator(bounds.json_object)]
ClientObject = Annotated[dict[str, Any], BeforeValidator(bounds.client_object)]
Moment = Annotated[int, Field(ge=0, le=LATEST_MOMENT_MS)]
TransportType = Literal["sse", "streamable_http"]
Built = TypeVar("Built")


class SessionData(BaseModel):
    """One MCP session. Immutable. Names are snake_case in Python and camelCase in JSON.

    The constructor and ``model_validate`` take either spelling and copy the values into plain ``dict`` and ``list``.
    They raise :class:`InvalidSessionError`, which shows no value, for a session that no store may accept. ``None``
    means that a field is absent. Source: ``SessionData`` of ``@mcp-ts/sdk``.

    Required fields:

    - ``session_id``: 1 to 255 characters; make one with ``generate_session_id()``.
    - ``identity``: the user that the session belongs to, 1 to 255 characters.
    - ``server_url``: the URL of the MCP server.
    - ``transport_type``: ``"sse"`` or ``"streamable_http"``.
    - ``callback_url``: the OAuth redirect URL of the application.
    - ``created_at``: integer, milliseconds since the epoch, 0 to 253402300799999 (year 9999).

    Optional fields:

    - ``server_id``, ``server_name``: text that identifies the server to the application.
    - ``headers``: HTTP headers for the server, text to text. Secret.
    - ``active``: whether the session is connected.
    - ``client_information``: OAuth client registration, a JSON object. Its ``client_secret`` is secret.
    - ``tokens``: OAuth tokens, a JSON object. Secret. Its ``expires_in`` is in seconds.
    - ``code_verifier``: PKCE verifier of a login that is not finished. Secret.
    - ``client_id``: OAuth client id.

    Text holds no NUL and no lone surrogate. Numbers in JSON are finite and within ±(2⁵³ - 1). JSON has at most 64
    levels.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    session_id: Name
    identity: Name
    server_id: Text | None = None
    server_name: Text | None = None
    server_url: Text
    transport_type: TransportType
    callback_url: Text
    created_at: Moment
    headers: Headers | None = Field(default=None, repr=False)
    active: bool | None = None
    client_information: ClientObject | None = Field(default=None, repr=False)
    tokens: JsonObject | None = Field(default=None, repr=False)
    code_verifier: ClearText | None = Field(default=None, repr=False)
    client_id: Text | None = None

    if not TYPE_CHECKING:  # type checkers take the signature of the constructor from the fields

        def __init__(self, **data: Any) -> None:
            """Check the fields. Raise :class:`InvalidSessionError` if one is missing or not valid."""
            _checked(super().__init__, **data)

        # A mark of pydantic: validation fills the model directly instead of calling this __init__ again.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the session in ``obj``, a mapping in either spelling. Raise :class:`InvalidSessionError`."""
        return _checked(super().model_validate, obj, **options)

    @classmethod
    def from_validated(cls, fields: Mapping[str, Any]) -> Self:
        """Return the session with these fields, by their snake_case names, without validation.

        Use it only for fields that this process has validated and that did not change since. Containers are copied.
        """
        values = {**_ABSENT, **fields}
        for field in _OBJECTS:
            if values[field] is not None:
                values[field] = copied(values[field])
        session = cls.__new__(cls)
        _set(session, "__dict__", values)
        _set(session, "__pydantic_fields_set__", set(fields))
        _set(session, "__pydantic_extra__", None)
        _set(session, "__pydantic_private__", None)
        return session

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Return the session in a JSON text. Raise :class:`InvalidSessionError`."""
        return _checked(super().model_validate_json, json_data, **options)

    @classmethod
    def model_validate_strings(cls, obj: Any, **options: Any) -> Self:
        """Return the session in a mapping of texts. Raise :class:`InvalidSessionError`."""
        return _checked(super().model_validate_strings, obj, **options)


_ABSENT: dict[str, Any] = dict.fromkeys(SessionData.model_fields)
_OBJECTS = ("headers", "client_information", "tokens")
_set = object.__setattr__


class SessionUpdate(TypedDict, total=False):
    """The fields that ``update_session`` may change: all except ``session_id`` and ``identity``.

    A value of ``None`` removes the field.
    """

    server_id: str | None
    server_name: str | None
    server_url: str
    transport_type: TransportType
    callback_url: str
    created_at: int
    headers: dict[str, str] | None
    active: bool | None
    client_information: dict[str, Any] | None
    tokens: dict[str, Any] | None
    code_verifier: str | None
    client_id: str | None


FIELDS: frozenset[str] = frozenset(SessionData.model_fields)
"""Every field of a session, in snake_case."""

_SPELLINGS = FIELDS | {to_camel(field) for field in FIELDS}

IDENTIFYING: frozenset[str] = frozenset({"session_id", "identity"})
"""The fields that never change (LC-6)."""


def unknown_field(field: object) -> str:
    """Return a message about a field that does not exist. It does not repeat the name, which may be a secret."""
    near = get_close_matches(field, FIELDS, n=1) if isinstance(field, str) else []
    return (
        f"an unknown field (is {near[0]!r} meant?)"
        if near
        else f"an unknown field (known: {', '.join(sorted(FIELDS))})"
    )


def _checked(build: Callable[..., Built], /, *values: Any, **data: Any) -> Built:
    try:
        return build(*values, **data)
    except ValidationError as error:
        problems = "; ".join(_problem(detail) for detail in error.errors(include_url=False, include_input=False))
    # Raised outside the handler: the pydantic error, as the context, would hold the input.
    raise InvalidSessionError(f"the session is not valid: {problems}")


def _problem(detail: ErrorDetails) -> str:
    if not detail["loc"]:
        return "give an object with the fields of SessionData"
    field = detail["loc"][0]
    if field not in _SPELLINGS:
        return unknown_field(field)
    return f"{field}: {detail['msg'].removeprefix('Value error, ')}"
