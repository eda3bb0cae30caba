"""Tables of other packages that a project may contain: first that of @mcp-ts/sdk 1.6, rewritten from its columns."""

POLICY = "auth.uid()::text = user_id or auth.uid()::text = identity"

TABLE = f"""
create table public.mcp_sessions (
    id uuid primary key default gen_random_uuid(),
    session_id text not null unique, user_id text not null, server_id text, server_name text,
    server_url text not null, transport_type text not null, callback_url text not null,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    expires_at timestamptz not null, active boolean default false, identity text not null,
    headers jsonb, client_information jsonb, tokens jsonb, code_verifier text, client_id text
);
create index idx_mcp_sessions_identity on public.mcp_sessions (identity);
create index idx_mcp_sessions_user_id on public.mcp_sessions (user_id);
create index idx_mcp_sessions_expires_at on public.mcp_sessions (expires_at);
create function public.set_current_timestamp_updated_at() returns trigger language plpgsql as
    $$ begin new.updated_at = now(); return new; end $$;
create trigger trg_mcp_sessions_updated_at before update on public.mcp_sessions
    for each row execute function public.set_current_timestamp_updated_at();
alter table public.mcp_sessions enable row level security;
create policy "Users can view their own sessions" on public.mcp_sessions for select to authenticated using ({POLICY});
create policy "Users can insert their own sessions" on public.mcp_sessions for insert to authenticated
    with check ({POLICY});
create policy "Users can update their own sessions" on public.mcp_sessions for update to authenticated
    using ({POLICY}) with check ({POLICY});
create policy "Users can delete their own sessions" on public.mcp_sessions for delete to authenticated using ({POLICY});
"""

ROWS = """
insert into public.mcp_sessions (session_id, user_id, identity, server_url, transport_type, callback_url, expires_at,
    created_at, active, tokens) values
    ('live', 'alice', 'alice', 'https://a', 'sse', 'https://c', now() + interval '1 hour', 'epoch', false,
     '"enc:1:00:00:00"'),
    ('gone', 'bob', 'bob', 'https://a', 'sse', 'https://c', now() - interval '1 hour', now(), true, '{"t": 1}'),
    ('odd', 'alice', 'bob', 'https://a', 'sse', 'https://c', now(), now(), null, null);
"""

CLIENT_2 = """
create table public.mcp_sessions (
    id uuid primary key default gen_random_uuid(),
    session_id text not null unique, user_id text not null, server_id text, server_name text,
    server_url text not null, transport_type text not null, callback_url text not null,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    expires_at timestamptz not null, active boolean default false,
    headers jsonb, client_information jsonb, tokens jsonb, code_verifier text, client_id text
);
"""
"""The table of @mcp-ts/client 2.3, rewritten from its columns."""

CLIENT_4 = """
create table public.mcp_sessions (
    id uuid primary key default gen_random_uuid(),
    session_id text not null unique, user_id text not null, server_id text, server_name text,
    server_url text not null, server_options jsonb, callback_url text not null,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    expires_at timestamptz, status text not null default 'pending', headers jsonb, auth_url text,
    enabled boolean default true, tool_policy jsonb, client_information jsonb, tokens jsonb, discovery_state jsonb,
    code_verifier text, client_id text, oauth_state jsonb, metadata jsonb,
    constraint mcp_sessions_user_session_unique unique (user_id, session_id)
);
create index idx_mcp_sessions_expires_at on public.mcp_sessions (expires_at);
alter table public.mcp_sessions enable row level security;
create policy "Users can view their own sessions" on public.mcp_sessions for select to authenticated
    using (auth.uid()::text = user_id);
grant select, insert, update, delete on public.mcp_sessions to authenticated, service_role;
"""
"""The table of @mcp-ts/client 4, rewritten from its columns."""
