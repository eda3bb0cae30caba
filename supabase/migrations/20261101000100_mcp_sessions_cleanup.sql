-- Expired sessions are never returned. This removes them from the table every five minutes if pg_cron is available.
-- If it is not, nothing happens here, and cleanup_expired_sessions() of a backend does the same.

do $$
begin
    if not exists (select from pg_available_extensions where name = 'pg_cron') then
        raise notice 'pg_cron is not installed: no clean-up of expired MCP sessions is scheduled';
        return;
    end if;

    -- It must be installed and preloaded, and it works in one database of a server.
    begin
        create extension if not exists pg_cron;
    exception when others then
        raise notice 'pg_cron can''t be used here (%): no clean-up of expired MCP sessions is scheduled', sqlerrm;
        return;
    end;

    -- The two jobs of @mcp-ts/sdk keep expired sessions that were active, and end idle ones too early. Jobs of another
    -- table stay.
    perform cron.unschedule(jobid)
    from cron.job
    where jobname in ('cleanup-transient-sessions', 'cleanup-dormant-sessions')
        and command ~ '\mmcp_sessions\M';

    -- expires_at is from the clock of the writer, now() from the server's. The hour in between keeps a session from
    -- ending early if the clocks differ. A job of this name is replaced: the migration can be applied again.
    perform cron.schedule(
        'mcp_sessions-cleanup',
        '*/5 * * * *',
        'delete from public.mcp_sessions where expires_at <= now() - interval ''1 hour'''
    );
end;
$$;
