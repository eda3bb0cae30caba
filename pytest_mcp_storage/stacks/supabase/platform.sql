-- The contents of a Supabase project before its first migration: PostgREST's roles, functions that return the claims of
-- the caller's token, and no privileges by default. Applied once to an empty cluster.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;

create schema auth;
grant usage on schema auth to anon, authenticated, service_role;

create function auth.jwt() returns jsonb language sql stable as
    $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;

create function auth.uid() returns uuid language sql stable as
    $$ select (auth.jwt() ->> 'sub')::uuid $$;

create function auth.role() returns text language sql stable as
    $$ select auth.jwt() ->> 'role' $$;

grant usage on schema public to anon, authenticated, service_role;
-- As in projects since 2026: these roles have no privileges on new objects unless the migration grants them.
alter default privileges revoke execute on functions from public;
