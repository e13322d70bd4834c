-- The queries of store.py, run_queue.py and work.py, which fill in the columns of a run, and when its time has come.

-- name: known()
SELECT job AS name, title, schedule, zone, last_due, paused, seen_at FROM job_schedules ORDER BY job;

-- name: runs(job, before, most)
SELECT {run} FROM job_runs WHERE (:job::text IS NULL OR job = :job) AND (:before::bigint IS NULL OR id < :before)
ORDER BY id DESC LIMIT :most;

-- name: newest_runs()
-- Returns of each job the newest run, the newest that has ended, and those that wait or go on.
SELECT {run} FROM job_runs WHERE id IN (
    SELECT newest.id FROM job_schedules AS jobs, LATERAL (
        (SELECT id FROM job_runs WHERE job = jobs.job ORDER BY id DESC LIMIT 1)
        UNION ALL
        (SELECT id FROM job_runs WHERE job = jobs.job AND state NOT IN ('waiting', 'running') ORDER BY id DESC LIMIT 1)
    ) AS newest
    UNION ALL SELECT id FROM job_runs WHERE state = 'waiting'
    UNION ALL SELECT id FROM job_runs WHERE state = 'running'
) ORDER BY job, id DESC;

-- name: run(id)^
SELECT {run} FROM job_runs WHERE id = :id;

-- name: cookies(job)
SELECT name, value::text AS value FROM job_cookies WHERE job = :job ORDER BY name;

-- name: now()$
SELECT now();

-- name: ask(job, arguments, asked_by, most)$
-- Queues a run, and returns its id; nothing where there is no such job, an equal run waits, or too many do.
INSERT INTO job_runs (job, reason, arguments, asked_by, state)
SELECT job, 'asked', :arguments::jsonb, :asked_by::text, 'waiting' FROM job_schedules AS jobs
WHERE job = :job AND (SELECT count(*) FROM job_runs WHERE job_runs.job = jobs.job AND state = 'waiting') < :most::bigint
ON CONFLICT DO NOTHING RETURNING id;

-- name: equal_waiting(job, arguments)$
SELECT id FROM job_runs WHERE job = :job AND arguments = :arguments::jsonb AND state = 'waiting';

-- name: hurry(job, arguments)$
-- Lets an equal run that waits for a time to come go on now, and returns its id.
UPDATE job_runs SET not_before = now()
WHERE job = :job AND arguments = :arguments::jsonb AND state = 'waiting' AND not_before > now() RETURNING id;

-- name: cancel(id)$
-- Ends a run that waits, or has one that goes on end at its next step. Returns false for one that has ended. No lock of a
-- step is waited for.
WITH waiting AS (
    UPDATE job_runs SET state = 'cancelled', ended_at = now() WHERE id = :id AND state = 'waiting' RETURNING id
), going AS (
    INSERT INTO job_cancellations (run) SELECT id FROM job_runs WHERE id = :id AND state = 'running'
    ON CONFLICT (run) DO UPDATE SET run = excluded.run RETURNING run
)
SELECT EXISTS (SELECT FROM waiting) OR EXISTS (SELECT FROM going);

-- name: pause(job, paused)^
UPDATE job_schedules SET paused = :paused WHERE job = :job
RETURNING job AS name, title, schedule, zone, last_due, paused, seen_at;

-- name: declare(jobs, titles, schedules, zones)!
-- Notes that a server with these jobs is there. A job that is seen for the first time was due never before.
INSERT INTO job_schedules (job, title, schedule, zone, last_due)
SELECT job, title, schedule, zone, now()
FROM unnest(:jobs::text[], :titles::text[], :schedules::text[], :zones::text[]) AS declared (job, title, schedule, zone)
ORDER BY job
ON CONFLICT (job) DO UPDATE
SET title = excluded.title, schedule = excluded.schedule, zone = excluded.zone, seen_at = now();

-- name: last_completed(jobs)
SELECT job, ended_at FROM unnest(:jobs::text[]) AS jobs (name), LATERAL (
    SELECT job, ended_at FROM job_runs WHERE job = name AND state = 'completed' ORDER BY id DESC LIMIT 1
) AS newest;

-- name: look(jobs)
-- Returns what stands of these jobs, by the clock of the database.
SELECT jobs.job, last_due, now() AS now, going.id AS run, going.server,
       EXISTS (SELECT FROM job_runs WHERE job_runs.job = jobs.job AND state = 'waiting' AND {ready}) AS is_ready
FROM job_schedules AS jobs LEFT JOIN job_runs AS going ON going.job = jobs.job AND going.state = 'running'
WHERE jobs.job = ANY (:jobs);

-- name: fall_due(job, seen, due, missed, most)$
-- Moves the time up to which due times were seen to, unless another server has, and queues a run for them. Where an equal
-- run waits it stands for them as well. Returns true where a run is queued or stands for them.
WITH moved AS (
    UPDATE job_schedules SET last_due = :due::timestamptz WHERE job = :job AND last_due = :seen RETURNING job, paused
), told AS (
    UPDATE job_runs SET missed = least(missed + 1 + :missed::integer, :most::integer)
    FROM moved WHERE NOT paused AND job_runs.job = moved.job AND state = 'waiting' AND arguments = '{}' RETURNING id
), queued AS (
    INSERT INTO job_runs (job, reason, due, missed, state)
    SELECT job, 'schedule', :due, :missed, 'waiting' FROM moved WHERE NOT paused AND NOT EXISTS (SELECT FROM told)
    ON CONFLICT DO NOTHING RETURNING id
)
SELECT EXISTS (SELECT FROM told) OR EXISTS (SELECT FROM queued);

-- name: correct_clock(job, seen)$
-- Takes back what a clock that was ahead has seen to. Due times of the future were none, and will be due again.
WITH moved AS (
    UPDATE job_schedules SET last_due = now() WHERE job = :job AND last_due = :seen RETURNING job
), told AS (
    UPDATE job_runs SET due = NULL FROM moved WHERE job_runs.job = moved.job AND due > now()
)
SELECT EXISTS (SELECT FROM moved);

-- name: claim(jobs, server)$
-- Gives the oldest run of these jobs whose time has come to a server, and returns its id; nothing where there is none. A run
-- of a job that another server has just given itself to violates the index of those that go on.
UPDATE job_runs SET state = 'running', server = :server WHERE id = (
    SELECT id FROM job_runs AS oldest WHERE job = ANY (:jobs) AND state = 'waiting' AND {ready}
    AND NOT EXISTS (SELECT FROM job_runs WHERE job_runs.job = oldest.job AND state = 'running')
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id;

-- name: begin(job, arguments, asked_by, server)$
-- Begins a run that never waits, and returns its id; nothing where another goes on. The index alone would have it wait for a
-- step of that one.
INSERT INTO job_runs (job, reason, arguments, asked_by, state, server)
SELECT :job::text, 'asked', :arguments::jsonb, :asked_by::text, 'running', :server::bigint
WHERE NOT EXISTS (SELECT FROM job_runs WHERE job = :job AND state = 'running') RETURNING id;

-- name: start(id)^
-- Reads the clock for a run that was claimed or begun: in a statement of its own, since that one may have waited, at the
-- index, for the run before to end.
UPDATE job_runs SET started_at = clock_timestamp() WHERE id = :id RETURNING {run};

-- name: going(job)^
SELECT {run} FROM job_runs WHERE job = :job AND state = 'running';

-- name: hold(id, server)^
-- Keeps others from ending a run until the transaction does; nothing where it is not this server's, or a step of it still
-- goes on, whose connection may outlive its server.
SELECT {run} FROM job_runs WHERE id = :id AND server = :server AND state = 'running' FOR UPDATE SKIP LOCKED;

-- name: end_run(id, state, error_code, error_message)$
WITH cancellation AS (DELETE FROM job_cancellations WHERE run = :id)
UPDATE job_runs SET state = :state, ended_at = now(), error_code = :error_code, error_message = :error_message
WHERE id = :id RETURNING ended_at;

-- name: queue_next(id, reason, wait)$
-- Queues the next try of a run, unless an equal one waits, which does what is left.
INSERT INTO job_runs (job, reason, due, missed, arguments, asked_by, state, attempt, after, not_before)
SELECT job, :reason, due, missed, arguments, asked_by, 'waiting', attempt + 1, id, now() + :wait::interval
FROM job_runs WHERE id = :id
ON CONFLICT DO NOTHING RETURNING id;

-- name: sweep(keep, most)$
-- Deletes old runs, never the newest of a job, and returns their number.
WITH swept AS (
    DELETE FROM job_runs WHERE id IN (
        SELECT id FROM job_runs AS old
        WHERE state NOT IN ('waiting', 'running') AND ended_at < now() - :keep::interval
        AND EXISTS (SELECT FROM job_runs WHERE job_runs.job = old.job AND job_runs.id > old.id)
        ORDER BY id LIMIT :most
    ) RETURNING id
)
SELECT count(*) FROM swept;

-- name: sweep_jobs(keep, ours)!
-- Deletes jobs that no server has had for so long, with all that is theirs. Those of the server that asks look as old where
-- the clock has jumped.
WITH gone AS (
    DELETE FROM job_schedules WHERE seen_at < now() - :keep::interval AND job <> ALL (:ours::text[]) RETURNING job
), cookies AS (
    DELETE FROM job_cookies USING gone WHERE job_cookies.job = gone.job
)
DELETE FROM job_runs USING gone WHERE job_runs.job = gone.job;

-- name: sweep_cancellations()!
DELETE FROM job_cancellations WHERE NOT EXISTS (SELECT FROM job_runs WHERE id = run AND state = 'running');

-- name: bound_waits(lock, idle)^
-- Bounds, in milliseconds, how long the rest of this transaction waits for a lock, and how long it may hold one while its
-- client says nothing.
SELECT set_config('lock_timeout', :lock::integer::text, true), set_config('idle_in_transaction_session_timeout', :idle::integer::text, true);

-- name: begin_step(id, server)$
-- Keeps others from a run until the step ends. Returns true where it is to be cancelled; nothing where it is not this
-- server's any more.
UPDATE job_runs SET progressed_at = now() WHERE id = :id AND server = :server AND state = 'running'
RETURNING EXISTS (SELECT FROM job_cancellations WHERE run = :id);

-- name: progress(id, done, total, message)!
UPDATE job_runs SET done = :done, total = :total, message = :message WHERE id = :id;

-- name: cookie(job, name)$
SELECT value::text FROM job_cookies WHERE job = :job AND name = :name;

-- name: keep(job, name, value)!
INSERT INTO job_cookies (job, name, value) VALUES (:job, :name, :value::jsonb)
ON CONFLICT (job, name) DO UPDATE SET value = excluded.value;
