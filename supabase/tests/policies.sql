-- Tests of the privileges and policies of public.mcp_sessions, with TAP output: for `supabase test db`, pg_prove, or any
-- client that looks for "not ok". They run in one transaction that is rolled back. Run them as the table's owner.
begin;

select '1..27';

create function pg_temp.ok(holds boolean, what text) returns text language sql as
    $$ select case when holds then 'ok - ' else 'not ok - ' end || what $$;

-- Sign in by a token's claims; a null user has none.
create function pg_temp.sign_in(as_role text, who text) returns void language sql as
    $$ select set_config('role', as_role, true),
              set_config('request.jwt.claims', json_strip_nulls(json_build_object('role', as_role, 'sub', who))::text, true) $$;

-- Return whether row security or a missing privilege refuses a statement; if not, undo it.
create function pg_temp.refuses(statement text) returns boolean language plpgsql as $$
begin
    execute statement;
    raise exception 'undo' using errcode = 'UNDO0';
exception
    when insufficient_privilege then return true;
    when sqlstate 'UNDO0' then return false;
end;
$$;

-- Return the number of rows that a statement changes or returns.
create function pg_temp.touches(statement text) returns bigint language plpgsql as $$
declare
    rows bigint;
begin
    execute statement;
    get diagnostics rows = row_count;
    return rows;
end;
$$;

create function pg_temp.row_of(id text, owner text, of_identity text) returns text language sql as
    $$ select format('insert into public.mcp_sessions (session_id, user_id, identity, server_url, transport_type,'
       ' callback_url, expires_at) values (%L, %L, %L, '''', ''sse'', '''', now() + interval ''1 hour'')',
       id, owner, of_identity) $$;

create function pg_temp.seen() returns text language sql as
    $$ select coalesce(string_agg(session_id, ' ' order by session_id), '') from public.mcp_sessions $$;

-- A project may grant nothing by default.
grant execute on all functions in schema pg_temp to public;

-- The service role may do everything.
select pg_temp.sign_in('service_role', null);
select pg_temp.ok(pg_temp.touches('delete from public.mcp_sessions') >= 0, 'the service role removes rows');
select pg_temp.ok(pg_temp.touches(pg_temp.row_of('a', 'alice', 'alice')) = 1, 'the service role writes rows of anybody');
select pg_temp.ok(pg_temp.touches(pg_temp.row_of('b', 'bob', 'bob')) = 1, 'and of anybody else');
select pg_temp.ok(pg_temp.touches('update public.mcp_sessions set active = true') = 2, 'the service role changes rows');
select pg_temp.ok(pg_temp.seen() = 'a b', 'the service role sees all rows');

-- A caller who is not signed in sees the table, but no rows.
select pg_temp.sign_in('anon', null);
select pg_temp.ok(pg_temp.seen() = '', 'nobody sees nothing');
select pg_temp.ok(pg_temp.refuses(pg_temp.row_of('n', 'alice', 'alice')), 'nobody writes nothing');
select pg_temp.ok(pg_temp.refuses('update public.mcp_sessions set active = false'), 'nobody changes nothing');
select pg_temp.ok(pg_temp.refuses('delete from public.mcp_sessions'), 'nobody removes nothing');

-- A token without a subject belongs to no user.
select pg_temp.sign_in('authenticated', null);
select pg_temp.ok(pg_temp.seen() = '', 'a token without a subject sees nothing');
select pg_temp.ok(pg_temp.refuses(pg_temp.row_of('n', '', '')), 'a token without a subject writes nothing');

-- A signed-in user, whose id is not a UUID.
select pg_temp.sign_in('authenticated', 'alice');
select pg_temp.ok(pg_temp.seen() = 'a', 'a user sees their own rows');
select pg_temp.ok(pg_temp.touches(pg_temp.row_of('a2', 'alice', 'alice')) = 1, 'a user writes a row of their own');
select pg_temp.ok(pg_temp.touches('update public.mcp_sessions set active = null') = 2, 'a user changes their own rows');
select pg_temp.ok(pg_temp.touches('delete from public.mcp_sessions where session_id = ''b''') = 0,
    'a user removes no row of another');

-- A row belongs to a user only if both columns are the user.
select pg_temp.ok(pg_temp.refuses(pg_temp.row_of('x', 'alice', 'bob')), 'no row is written into another''s listing');
select pg_temp.ok(pg_temp.refuses(pg_temp.row_of('x', 'bob', 'alice')), 'no row is written that another owns');
select pg_temp.ok(pg_temp.refuses(pg_temp.row_of('x', 'bob', 'bob')), 'no row of another is written');
select pg_temp.ok(pg_temp.refuses('update public.mcp_sessions set identity = ''bob'''), 'no row is listed elsewhere');
select pg_temp.ok(pg_temp.refuses('update public.mcp_sessions set user_id = ''bob'''), 'no row is handed over');
select pg_temp.ok(pg_temp.refuses('update public.mcp_sessions set user_id = ''bob'', identity = ''bob'''),
    'nor given away whole');
select pg_temp.ok(pg_temp.refuses('truncate public.mcp_sessions'), 'no user empties the table');

-- Rows with only one of the columns, which upstream's policies allow to write.
reset role;
select pg_temp.touches(pg_temp.row_of('half1', 'alice', 'bob')) + pg_temp.touches(pg_temp.row_of('half2', 'bob', 'alice'));
select pg_temp.sign_in('authenticated', 'alice');
select pg_temp.ok(pg_temp.seen() = 'a a2', 'a row that is half one''s own is not seen');
select pg_temp.ok(pg_temp.touches('update public.mcp_sessions set active = true where session_id like ''half%''') = 0,
    'nor changed');
select pg_temp.ok(pg_temp.touches('delete from public.mcp_sessions where session_id like ''half%''') = 0, 'nor removed');

select pg_temp.sign_in('authenticated', 'bob');
select pg_temp.ok(pg_temp.touches('delete from public.mcp_sessions') = 1, 'a user removes their own rows and no other');
reset role;
select pg_temp.ok(pg_temp.seen() = 'a a2 half1 half2', 'and all others are there still');

rollback;
