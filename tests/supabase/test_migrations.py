"""The migrations on an empty project, on upstream's table, on an older table, and applied twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from pytest_mcp_storage.stacks.supabase import native
from pytest_mcp_storage.stacks.supabase.database_schema import migration_sql
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends.core.errors import StorageSetupError
from tests.parts import missing
from tests.supabase.upstream import ROWS, TABLE

Database = psycopg.Connection[Any]

INSERT = """insert into mcp_sessions
    (session_id, user_id, identity, server_url, transport_type, callback_url, expires_at, created_at, active)
    values (%s, 'u', 'u', '', 'sse', '', now() + interval '1 hour', %s, %s)"""


@pytest.fixture
def bare(server: SupervisedServer) -> Iterator[Database]:
    """Return a connection to a project without the table."""
    stack = server.store(migrated=False)
    with psycopg.connect(str(stack.database_url), autocommit=True) as connection:
        yield connection
    server.drop(stack)


def migrate(database: Database) -> None:
    for text in migration_sql():
        database.execute(text.encode())


def shape(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that the migrations define about the table."""
    queries = {
        "columns": "select column_name, data_type, is_nullable, column_default from information_schema.columns"
        " where table_schema = 'public' and table_name = 'mcp_sessions' order by 1",
        "indexes": "select indexdef from pg_indexes where tablename = 'mcp_sessions' order by 1",
        "policies": "select policyname, permissive, roles::text, cmd, qual, with_check from pg_policies"
        " where tablename = 'mcp_sessions' order by 1",
        "triggers": "select pg_get_triggerdef(oid) from pg_trigger"
        " where tgrelid = 'public.mcp_sessions'::regclass and not tgisinternal order by 1",
        "table": "select relrowsecurity, relacl::text from pg_class where oid = 'public.mcp_sessions'::regclass",
    }
    return {name: database.execute(query).fetchall() for name, query in queries.items()}  # type: ignore[arg-type]


def test_they_may_be_applied_again(bare: Database) -> None:
    migrate(bare)
    bare.execute(INSERT, ("s", datetime.now(UTC), True))
    once = shape(bare)
    migrate(bare)
    assert shape(bare) == once
    assert bare.execute("select session_id from mcp_sessions").fetchall() == [("s",)]


def test_on_upstreams_table_they_keep_every_row_and_leave_the_same_shape(bare: Database, database: Database) -> None:
    bare.execute(TABLE)
    bare.execute(ROWS)
    rows = bare.execute("select * from mcp_sessions order by session_id").fetchall()
    migrate(bare)
    assert bare.execute("select * from mcp_sessions order by session_id").fetchall() == rows
    theirs, ours = shape(bare), shape(database)
    theirs["indexes"].remove(("CREATE INDEX idx_mcp_sessions_user_id ON public.mcp_sessions USING btree (user_id)",))
    assert theirs == ours


def test_what_upstreams_and_other_policies_allow_is_reported(bare: Database) -> None:
    said: list[str] = []
    bare.add_notice_handler(lambda notice: notice.severity == "WARNING" and said.append(str(notice.message_primary)))
    bare.execute(TABLE)
    bare.execute(ROWS)
    bare.execute("create policy everyone on mcp_sessions using (true)")
    bare.execute("create policy fewer on mcp_sessions as restrictive using (true)")
    migrate(bare)
    planted, policies = said
    assert planted.startswith("1 row(s) of mcp_sessions are listed among another user's")
    assert "other policies: everyone." in policies
    bare.execute("delete from mcp_sessions where session_id = 'odd'; drop policy everyone on mcp_sessions")
    migrate(bare)
    assert said == [planted, policies]


def test_they_add_the_columns_that_a_table_lacks(bare: Database, database: Database) -> None:
    bare.execute(TABLE)
    bare.execute(ROWS)
    bare.execute("alter table mcp_sessions drop column client_id, drop column code_verifier, drop column expires_at")
    migrate(bare)
    assert shape(bare)["columns"] == shape(database)["columns"]
    assert bare.execute("select count(*) from mcp_sessions where expires_at > now()").fetchone() == (3,)


def test_an_owner_who_is_no_superuser_can_apply_them(bare: Database) -> None:
    """As in a hosted project, in which postgres is not a superuser."""
    bare.execute("create role project_owner; grant all on schema public to project_owner")
    bare.execute("grant usage on schema auth to project_owner")
    try:
        bare.execute("set role project_owner")
        migrate(bare)
        migrate(bare)
        bare.execute("reset role")
        owner = bare.execute("select tableowner from pg_tables where tablename = 'mcp_sessions'").fetchone()
        assert owner == ("project_owner",)
    finally:
        bare.execute("reset role; drop owned by project_owner cascade; drop role project_owner")


@pytest.mark.parametrize("milliseconds", [0, 1, 1_767_225_600_123, 253_402_300_799_999])
@pytest.mark.parametrize("active", [True, False, None])
def test_times_and_flags_are_kept_as_they_are(database: Database, milliseconds: int, active: bool | None) -> None:
    created = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    database.execute(INSERT, ("s", created, active))
    kept = database.execute("select (extract(epoch from created_at) * 1000)::text::numeric, active from mcp_sessions")
    assert kept.fetchone() == (milliseconds, active)


def test_what_is_not_given_is_absent(database: Database) -> None:
    database.execute(
        "insert into mcp_sessions (session_id, user_id, identity, server_url, transport_type, callback_url, expires_at)"
        " values ('s', 'u', 'u', '', 'sse', '', now())"
    )
    assert database.execute("select active, headers, tokens, client_id from mcp_sessions").fetchone() == (None,) * 4


def test_a_change_is_dated(database: Database) -> None:
    database.execute(INSERT, ("s", datetime.now(UTC), True))
    database.execute("update mcp_sessions set updated_at = 'epoch'")
    assert database.execute("select updated_at > created_at - interval '1 minute' from mcp_sessions").fetchone() == (
        True,
    )


def test_the_longest_ids_fit_every_index(database: Database) -> None:
    long = "".join(chr(0x10000 + n * 331) for n in range(255))
    database.execute(INSERT.replace("'u', 'u'", f"'{long}', '{long}'").encode(), (long, datetime.now(UTC), True))
    assert database.execute("select count(*) from mcp_sessions").fetchone() == (1,)


@pytest.fixture
def crowded(database: Database) -> Database:
    """20,000 rows: 100 of each of 150 identities, one in 1,000 expired; and 5,000 of one identity."""
    database.execute(
        "insert into mcp_sessions (session_id, user_id, identity, server_url, transport_type, callback_url, expires_at)"
        " select 's' || n, who, who, 'https://a', 'sse', 'https://c',"
        " now() + case when n % 1000 = 0 then -1 else 1 end * interval '1 hour' from ("
        " select n, case when n <= 5000 then 'big' else 'u' || n % 150 end who from generate_series(1, 20000) n) rows"
    )
    database.execute("vacuum analyze mcp_sessions")
    return database


@pytest.mark.parametrize(
    ("columns", "condition", "indexes"),
    [
        ("*", "session_id = 's7' and identity = 'big' and expires_at > now()", {"session_id_key", "identity_session"}),
        ("*", "identity = 'u7' and expires_at > now() order by session_id limit 1000", {"identity_session"}),
        (
            "session_id",
            "identity = 'big' and session_id > 's2' and expires_at > now() order by session_id limit 1000",
            {"identity_session"},
        ),
        (
            "session_id, id",
            "id > '10000000-0000-0000-0000-000000000000' and expires_at > now() order by id limit 1000",
            {"pkey"},
        ),
        ("session_id", "expires_at <= now()", {"expires_at"}),
    ],
)
def test_each_request_of_a_backend_has_its_index(
    crowded: Database, columns: str, condition: str, indexes: set[str]
) -> None:
    explained = crowded.execute(f"explain (format json) select {columns} from mcp_sessions where {condition}".encode())
    nodes = list(plan_nodes(explained.fetchone()[0][0]["Plan"]))  # type: ignore[index]
    (used,) = {node["Index Name"] for node in nodes if "Index Name" in node}
    assert any(used.endswith(index) for index in indexes), nodes
    assert "Seq Scan" not in [node["Node Type"] for node in nodes]


def plan_nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from plan_nodes(child)


def test_a_long_listing_is_read_from_the_index_page_by_page(crowded: Database) -> None:
    plan = crowded.execute(
        "explain select session_id from mcp_sessions"
        " where identity = 'big' and session_id > 's2' and expires_at > now() order by session_id limit 1000"
    ).fetchall()
    assert "Index Only Scan using idx_mcp_sessions_identity_session" in str(plan)
    assert "Sort" not in str(plan)


@pytest.fixture(scope="module")
def cron() -> Iterator[Database]:
    """Return a connection to a project with pg_cron, which is configured for one database."""
    settings = {"shared_preload_libraries": "pg_cron", "cron.database_name": "scheduled"}
    try:
        server = native.start(settings=settings)
    except StorageSetupError as error:
        if "pg_cron" not in str(error):
            raise
        missing("pg_cron", "its PostgreSQL has no pg_cron", "make parts, as root on Debian or Ubuntu")
    with server:
        stack = server.store("scheduled", migrated=False)
        with psycopg.connect(str(stack.database_url), autocommit=True) as connection:
            yield connection


def test_with_pg_cron_the_clean_up_is_scheduled_once_and_works(cron: Database) -> None:
    cron.execute("create extension pg_cron")
    for job in ("cleanup-transient-sessions", "cleanup-dormant-sessions"):
        cron.execute(
            f"select cron.schedule('{job}', '0 0 * * *', 'delete from public.mcp_sessions where active')".encode()
        )
    cron.execute("select cron.schedule('another', '0 0 * * *', 'select 1')")
    cron.execute(TABLE)
    cron.execute(ROWS)
    migrate(cron)
    migrate(cron)
    jobs = dict(cron.execute("select jobname, command from cron.job").fetchall())
    assert set(jobs) == {"another", "mcp_sessions-cleanup"}
    # A writer's clock may be behind, so the session may still be live.
    minutes = "case session_id when 'live' then 59 else 61 end"
    cron.execute(f"update mcp_sessions set expires_at = now() - make_interval(mins => {minutes})".encode())
    cron.execute(jobs["mcp_sessions-cleanup"])
    assert cron.execute("select session_id from mcp_sessions").fetchall() == [("live",)]


@pytest.mark.parametrize("installed", [True, False])
def test_without_pg_cron_nothing_is_scheduled_and_a_notice_says_so(bare: Database, installed: bool) -> None:
    """Not installed; or installed and not preloaded, as in this server."""
    found = bare.execute("select from pg_available_extensions where name = 'pg_cron'").fetchone() is not None
    if installed and not found:
        missing("pg_cron", "its PostgreSQL has no pg_cron", "make parts, as root on Debian or Ubuntu")
    if not installed and found:  # hide it from the catalogue
        bare.execute("create schema without; create view without.pg_available_extensions as select ''::text as name")
        bare.execute("set search_path = without, pg_catalog, public")
    said: list[str] = []
    bare.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
    migrate(bare)
    assert bare.execute(
        "select to_regclass('cron.job'), to_regclass('public.mcp_sessions') is not null"
    ).fetchone() == (
        None,
        True,
    )
    words = "can't be used here" if installed else "is not installed"
    assert any("pg_cron" in line and words in line for line in said)
