-- The table of SupabaseStorageBackend: one row per session of one user.
--
-- It can be applied to an empty project, to a project with the table of @mcp-ts/sdk 1.6, or twice. It keeps every row,
-- and the result has the same columns, indexes, trigger and policies in each case.

-- @mcp-ts/client (2 to 4) has another table of this name, which must not be changed.
do $$
declare
    present regclass := to_regclass('public.mcp_sessions');
begin
    if present is not null and not exists (
        select from pg_attribute where attrelid = present and attname = 'identity' and not attisdropped
    ) then
        raise exception 'public.mcp_sessions has no column identity: it is the table of @mcp-ts/client (2 to 4), or of '
            'another application. Nothing was changed. Remove these migrations, create a table of another name next '
            'to it with: mcp-storage supabase-init --table mcp_storage_sessions, and pass that name to '
            'SupabaseStorageBackend as table';
    end if;
end;
$$;

create table if not exists public.mcp_sessions (
    id uuid primary key default gen_random_uuid(),
    session_id text not null unique,
    user_id text not null,
    identity text not null,
    server_id text,
    server_name text,
    server_url text not null,
    transport_type text not null,
    callback_url text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    expires_at timestamptz not null,
    active boolean,
    headers jsonb,
    client_information jsonb,
    tokens jsonb,
    code_verifier text,
    client_id text
);

-- Columns that an older table may lack. Rows without an expiry get that of a new session.
alter table public.mcp_sessions
    add column if not exists server_id text,
    add column if not exists server_name text,
    add column if not exists created_at timestamptz not null default now(),
    add column if not exists updated_at timestamptz not null default now(),
    add column if not exists expires_at timestamptz not null default now() + interval '12 hours',
    add column if not exists active boolean,
    add column if not exists headers jsonb,
    add column if not exists client_information jsonb,
    add column if not exists tokens jsonb,
    add column if not exists code_verifier text,
    add column if not exists client_id text;

alter table public.mcp_sessions
    alter column active drop default,
    alter column active drop not null,
    alter column expires_at drop default;

comment on table public.mcp_sessions is
    'MCP sessions, contract 2026-11. tokens and headers hold enc:1: envelopes where a key is set.';
comment on column public.mcp_sessions.user_id is
    'The owner: the same text as identity. A row is a signed-in user''s own where both are their id.';

-- For pages of one identity's sessions, by session_id: the index range contains no rows of others. It includes
-- expires_at, so that ids are listed from the index only. Pages of all ids use the primary key.
create index if not exists idx_mcp_sessions_identity_session
    on public.mcp_sessions (identity, session_id) include (expires_at);
create index if not exists idx_mcp_sessions_expires_at on public.mcp_sessions (expires_at);
-- It indexed only identity, which is the first column of the index above.
drop index if exists public.idx_mcp_sessions_identity;

create or replace function public.mcp_sessions_touch() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end;
$$;

drop trigger if exists trg_mcp_sessions_updated_at on public.mcp_sessions;
create trigger trg_mcp_sessions_updated_at
    before update on public.mcp_sessions
    for each row execute function public.mcp_sessions_touch();

-- Privileges. Without a signed-in user no row is visible, but the table is, so that a backend can distinguish a
-- missing table from a missing login. TRUNCATE ignores row security: only the service role has it.
revoke all on public.mcp_sessions from anon, authenticated;
grant select on public.mcp_sessions to anon;
grant select, insert, update, delete on public.mcp_sessions to authenticated;
grant all on public.mcp_sessions to service_role;

alter table public.mcp_sessions enable row level security;

-- Both columns must be the signed-in user: if only one were checked, a user could write a row that is listed among
-- another user's sessions. The id is the token's subject as text, which need not be a UUID. The inner select reads it
-- once per statement, not once per row. The names are upstream's, so these replace its policies.
drop policy if exists "Users can view their own sessions" on public.mcp_sessions;
create policy "Users can view their own sessions" on public.mcp_sessions
    for select to authenticated
    using ((select auth.jwt() ->> 'sub') = user_id and (select auth.jwt() ->> 'sub') = identity);

drop policy if exists "Users can insert their own sessions" on public.mcp_sessions;
create policy "Users can insert their own sessions" on public.mcp_sessions
    for insert to authenticated
    with check ((select auth.jwt() ->> 'sub') = user_id and (select auth.jwt() ->> 'sub') = identity);

drop policy if exists "Users can update their own sessions" on public.mcp_sessions;
create policy "Users can update their own sessions" on public.mcp_sessions
    for update to authenticated
    using ((select auth.jwt() ->> 'sub') = user_id and (select auth.jwt() ->> 'sub') = identity)
    with check ((select auth.jwt() ->> 'sub') = user_id and (select auth.jwt() ->> 'sub') = identity);

drop policy if exists "Users can delete their own sessions" on public.mcp_sessions;
create policy "Users can delete their own sessions" on public.mcp_sessions
    for delete to authenticated
    using ((select auth.jwt() ->> 'sub') = user_id and (select auth.jwt() ->> 'sub') = identity);

-- What existed before is kept, and only its owner can judge it. Upstream's policies allowed any user to write rows that
-- are listed among another user's sessions; a backend with the service role returns them. Policies of other names
-- permit access in addition to these.
do $$
declare
    planted bigint;
    others text;
begin
    select count(*) into planted from public.mcp_sessions where user_id <> identity;
    if planted > 0 then
        raise warning '% row(s) of mcp_sessions are listed among another user''s sessions (user_id <> identity): '
            'look at them, and delete those that you did not write', planted;
    end if;
    select string_agg(quote_ident(policyname), ', ') into others from pg_policies
    where schemaname = 'public' and tablename = 'mcp_sessions' and permissive = 'PERMISSIVE'
        and policyname !~ '^Users can (view|insert|update|delete) their own sessions$';
    if others is not null then
        raise warning 'mcp_sessions has other policies: %. Each lets through what these do not: '
            'drop those that are not meant to', others;
    end if;
end;
$$;

-- A running PostgREST reads the schema again.
notify pgrst, 'reload schema';
