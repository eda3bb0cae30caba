-- Expired sessions are never served; this takes them out of the table every five minutes, where pg_cron can be had.
-- Where it can't, nothing happens here, and cleanup_expired_sessions() of a backend does the same work.

do $$
begin
    if not exists (select from pg_available_extensions where name = 'pg_cron') then
        raise notice 'pg_cron is not installed: no clean-up of expired MCP sessions is scheduled';
        return;
    end if;

    -- Installed is not enough: it must be preloaded, and it lives in one database of a server.
    begin
        create extension if not exists pg_cron;
    exception when others then
        raise notice 'pg_cron can''t be used here (%): no clean-up of expired MCP sessions is scheduled', sqlerrm;
        return;
    end;

    -- The two jobs of @mcp-ts/sdk keep expired sessions that were active, and end idle ones before their time. Those
    -- of another table stay.
    perform cron.unschedule(jobid)
    from cron.job
    where jobname in ('cleanup-transient-sessions', 'cleanup-dormant-sessions')
        and command ~ '\mmcp_sessions\M';

    -- expires_at is by the clock of who wrote it, now() by this server's: an hour lies between them, so that a session
    -- does not end early where the clocks differ. A job of this name is replaced: the migration may be applied again.
    perform cron.schedule(
        'mcp_sessions-cleanup',
        '*/5 * * * *',
        'delete from public.mcp_sessions where expires_at <= now() - interval ''1 hour'''
    );
end;
$$;
