-- The privileges and policies of public.mcp_sessions, in the form that Supabase's advisors ask for. They replace those
-- of the first migration. It can be applied again.

-- A project grants nothing on a new table, and a schema that was dropped and created again has lost its grants.
grant usage on schema public to anon, authenticated, service_role;
-- The minimum that the store needs. Without a signed-in user no row is visible, but the table is, so that a backend
-- can distinguish a missing table from a missing login.
revoke all on public.mcp_sessions from public, anon, authenticated, service_role;
grant select on public.mcp_sessions to anon;
grant select, insert, update, delete on public.mcp_sessions to authenticated, service_role;
-- Only the trigger runs it, which needs no privilege.
revoke all on function public.mcp_sessions_touch() from public, anon, authenticated, service_role;

-- Both columns must be the signed-in user: if only one were checked, a user could write a row that is listed among
-- another user's sessions. The token is read once per statement: the inner select contains only the call, which is
-- what the advisor auth_rls_initplan looks for.
drop policy if exists "Users can view their own sessions" on public.mcp_sessions;
create policy "Users can view their own sessions" on public.mcp_sessions
    for select to authenticated
    using ((select auth.jwt()) ->> 'sub' = user_id and (select auth.jwt()) ->> 'sub' = identity);

drop policy if exists "Users can insert their own sessions" on public.mcp_sessions;
create policy "Users can insert their own sessions" on public.mcp_sessions
    for insert to authenticated
    with check ((select auth.jwt()) ->> 'sub' = user_id and (select auth.jwt()) ->> 'sub' = identity);

drop policy if exists "Users can update their own sessions" on public.mcp_sessions;
create policy "Users can update their own sessions" on public.mcp_sessions
    for update to authenticated
    using ((select auth.jwt()) ->> 'sub' = user_id and (select auth.jwt()) ->> 'sub' = identity)
    with check ((select auth.jwt()) ->> 'sub' = user_id and (select auth.jwt()) ->> 'sub' = identity);

drop policy if exists "Users can delete their own sessions" on public.mcp_sessions;
create policy "Users can delete their own sessions" on public.mcp_sessions
    for delete to authenticated
    using ((select auth.jwt()) ->> 'sub' = user_id and (select auth.jwt()) ->> 'sub' = identity);

notify pgrst, 'reload schema';
