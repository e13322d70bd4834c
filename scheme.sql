-- The tables of promise-pub. Can be applied any number of times: `promise-pub schema --apply`, or
-- psql -f scheme.sql. Nothing that exists is emptied; tables of an older version gain the columns they lack.

-- What a consumer saves. Its shape belongs to the consumers in the field.
CREATE TABLE IF NOT EXISTS employees (
    id   BIGSERIAL PRIMARY KEY,
    name VARCHAR(127) NOT NULL,
    mail VARCHAR(127) NOT NULL UNIQUE
);

-- One row a run: what was asked, how far it came, how it ended.
CREATE TABLE IF NOT EXISTS runs (
    id            UUID PRIMARY KEY,
    state         TEXT NOT NULL CHECK (state IN ('queued', 'negotiating', 'publishing', 'draining',
                                                 'completed', 'failed', 'cancelled', 'interrupted')),
    mode          TEXT NOT NULL CHECK (mode IN ('live', 'batch')),
    timeout       INTEGER NOT NULL CHECK (timeout BETWEEN 0 AND 3600),   -- seconds
    clear         BOOLEAN NOT NULL,
    rate          INTEGER NOT NULL CHECK (rate >= 0),                    -- rows a second, 0: no limit
    file_name     TEXT NOT NULL,                                         -- as the client called it
    file_bytes    BIGINT NOT NULL,
    file_sha256   TEXT NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    started_at    TIMESTAMPTZ,
    finished_at   TIMESTAMPTZ,
    seconds       JSONB NOT NULL DEFAULT '{}',                           -- by part of the run
    rows_read     BIGINT NOT NULL DEFAULT 0,
    rows_rejected BIGINT NOT NULL DEFAULT 0,
    published     BIGINT NOT NULL DEFAULT 0,
    confirmed     BIGINT NOT NULL DEFAULT 0,
    returned      BIGINT NOT NULL DEFAULT 0,
    nacked        BIGINT NOT NULL DEFAULT 0,
    resent        BIGINT NOT NULL DEFAULT 0,
    returned_rows TEXT NOT NULL DEFAULT '',                              -- row numbers, as in 1-20,25
    nacked_rows   TEXT NOT NULL DEFAULT '',
    session       JSONB,                                                 -- as the consumer told it last
    db_count      BIGINT,                                                -- rows in employees after the run
    verdict       TEXT CHECK (verdict IN ('kept', 'broken', 'unknown')),
    explanation   TEXT[] NOT NULL DEFAULT '{}',
    confirm_ms    JSONB,
    error_code    TEXT,
    error_message TEXT
);
-- What it takes to prove a run and to go on with it.
ALTER TABLE runs
    ADD COLUMN IF NOT EXISTS server  BIGINT,                             -- the name of the server that has it
    ADD COLUMN IF NOT EXISTS digest  TEXT,                               -- of its session's accepted rows
    ADD COLUMN IF NOT EXISTS resends JSONB NOT NULL DEFAULT '[]',        -- rows published again, and why
    ADD COLUMN IF NOT EXISTS earlier JSONB NOT NULL DEFAULT '[]',        -- sessions before this one
    ADD COLUMN IF NOT EXISTS going   JSONB NOT NULL DEFAULT '{}',        -- the checkpoint
    ADD COLUMN IF NOT EXISTS samples JSONB NOT NULL DEFAULT '[]',        -- how it went over time
    ADD COLUMN IF NOT EXISTS read_bytes BIGINT NOT NULL DEFAULT 0;       -- how far the file was read
-- What its file looks like, and how fast its rows go. Runs of older versions had what stands here as the default.
ALTER TABLE runs
    ADD COLUMN IF NOT EXISTS columns   TEXT[]  NOT NULL DEFAULT '{name,mail}', -- the keys of its messages
    ADD COLUMN IF NOT EXISTS header    BOOLEAN NOT NULL DEFAULT false,         -- whether its first line holds them
    ADD COLUMN IF NOT EXISTS delimiter TEXT    NOT NULL DEFAULT ',',
    ADD COLUMN IF NOT EXISTS encoding  TEXT    NOT NULL DEFAULT 'utf-8',
    ADD COLUMN IF NOT EXISTS profile   TEXT,                                   -- as in 100:10,1000:5
    ADD COLUMN IF NOT EXISTS fail_if   TEXT;                                   -- its gate, as in saved < accepted
-- Who started it, what its verdict rests on, and what became of its rows.
ALTER TABLE runs
    ADD COLUMN IF NOT EXISTS started_by       TEXT,                          -- the user or token, where people log in
    ADD COLUMN IF NOT EXISTS findings         JSONB NOT NULL DEFAULT '[]',   -- one for each sentence of its explanation
    ADD COLUMN IF NOT EXISTS unconfirmed_rows TEXT  NOT NULL DEFAULT '',     -- row numbers, as in 1-20,25
    ADD COLUMN IF NOT EXISTS row_groups       JSONB NOT NULL DEFAULT '[]';   -- [[fate, rows, reason], ...]
-- Older versions kept the findings beside the checkpoint.
UPDATE runs SET findings = going -> 'findings', going = going - 'findings' WHERE going ? 'findings';
-- What the history is sorted by and filtered with.
ALTER TABLE runs
    ADD COLUMN IF NOT EXISTS file_folded   TEXT GENERATED ALWAYS AS (lower(file_name)) STORED,
    ADD COLUMN IF NOT EXISTS total_seconds DOUBLE PRECISION
        GENERATED ALWAYS AS (coalesce((seconds ->> 'total')::double precision, 0)) STORED;
-- Each order of the history is read from one index alone: a page of 100,000 runs takes 2 to 20 ms, whatever is left out,
-- as long as the table is vacuumed; that is after every fiftieth of it here, not a fifth.
ALTER TABLE runs SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
CREATE INDEX IF NOT EXISTS runs_by_started ON runs (created_at, id) INCLUDE (state, verdict, mode, file_folded);
CREATE INDEX IF NOT EXISTS runs_by_file ON runs (file_folded COLLATE "C", id) INCLUDE (state, verdict, mode);
CREATE INDEX IF NOT EXISTS runs_by_sent ON runs (confirmed, id) INCLUDE (state, verdict, mode, file_folded);
CREATE INDEX IF NOT EXISTS runs_by_seconds ON runs (total_seconds, id) INCLUDE (state, verdict, mode, file_folded);
DROP INDEX IF EXISTS runs_newest;

-- Rejected records, the first 10,000 of a run; runs.rows_rejected counts all of them.
CREATE TABLE IF NOT EXISTS rejected_rows (
    run_id  UUID NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    line    BIGINT NOT NULL,
    reason  TEXT NOT NULL,
    excerpt TEXT NOT NULL,
    PRIMARY KEY (run_id, line)
);

-- What became of the records of a run's file, a row for each piece of some 64 KB: a byte for each record names the group
-- it belongs to (runs.row_groups); one byte alone stands for all.
CREATE TABLE IF NOT EXISTS row_chunks (
    run_id       UUID NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    line         BIGINT NOT NULL,                                        -- where it begins in the file
    byte_offset  BIGINT NOT NULL,
    number       BIGINT NOT NULL,                                        -- of its first row
    bytes        BIGINT NOT NULL,
    checksum     BIGINT NOT NULL,                                        -- CRC-32 of them
    records      INTEGER NOT NULL,
    held         SMALLINT[] NOT NULL,                                    -- the groups that occur in it
    groups       BYTEA NOT NULL,
    line_offsets BYTEA NOT NULL,                                         -- empty: each record takes one line
    repeats      BYTEA NOT NULL,                                         -- records whose mail an earlier line has
    PRIMARY KEY (run_id, line)
);

-- Who may in, where [server] auth = users. Passwords as argon2 hashes; a generation ends the sessions before it.
CREATE TABLE IF NOT EXISTS access_users (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'operator')),
    password   TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 1,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Tokens for scripts, as SHA-256 digests: who reads this table has none of them.
CREATE TABLE IF NOT EXISTS access_tokens (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'operator')),
    digest     BYTEA NOT NULL UNIQUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    expires_at TIMESTAMPTZ NOT NULL
);

-- Sessions that were logged out of before they expired.
CREATE TABLE IF NOT EXISTS access_ended_sessions (
    session TEXT PRIMARY KEY,
    until   TIMESTAMPTZ NOT NULL                                         -- when it would have expired
);

-- The key that session cookies are signed with: random, made once.
CREATE TABLE IF NOT EXISTS access_keys (
    name TEXT PRIMARY KEY,
    key  BYTEA NOT NULL
);

-- Every page that somebody was shown. Sessions are what their hits say: they have no row of their own.
CREATE TABLE IF NOT EXISTS visit_hits (
    id         UUID PRIMARY KEY,                                         -- grows as hits come; a hit written twice is one
    at         TIMESTAMPTZ NOT NULL,
    session_id UUID NOT NULL,
    page       TEXT NOT NULL,                                            -- the route's template, as in /runs/{id}
    path       TEXT,
    method     TEXT,
    status     INTEGER,
    ip         INET,
    port       INTEGER,
    user_agent TEXT,
    referrer   TEXT,
    headers    JSONB NOT NULL DEFAULT '[]',                              -- [[name, value], ...] of those that are kept
    took_ms    REAL
);
-- The chains of pages of a million hits are read from this index alone, in their order.
CREATE INDEX IF NOT EXISTS visit_hits_by_session ON visit_hits (session_id, at, id) INCLUDE (page);
CREATE INDEX IF NOT EXISTS visit_hits_by_time ON visit_hits (at);
ALTER TABLE visit_hits
    ADD COLUMN IF NOT EXISTS known BOOLEAN NOT NULL DEFAULT true;            -- false: had not logged in, where users do
-- The oldest hits of who is not known are deleted before those of others.
CREATE INDEX IF NOT EXISTS visit_hits_of_unknown ON visit_hits (at) WHERE NOT known;
ALTER TABLE visit_hits SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);

-- Sessions that are to be forgotten: what servers still hold of them is not written. Swept after some days.
CREATE TABLE IF NOT EXISTS visit_forgotten (
    session_id UUID PRIMARY KEY,
    at         TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- What was told of the last change of a run: the number of its last event, and its rows by fate up to it.
ALTER TABLE runs
    ADD COLUMN IF NOT EXISTS told JSONB NOT NULL DEFAULT '{}';

-- Events of promise-pub itself, written in the transaction that makes them true; the journal moves them out.
CREATE TABLE IF NOT EXISTS outbox (
    n          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id TEXT NOT NULL,
    at         TIMESTAMPTZ NOT NULL,
    topic      TEXT NOT NULL,                                            -- without the prefix of the bus
    subject    TEXT,
    actor      TEXT,                                                     -- the user or token that did it
    body       JSONB NOT NULL
);

-- Every event once: append-only, numbered without holes in the order of commits.
CREATE TABLE IF NOT EXISTS journal_events (
    seq          BIGINT PRIMARY KEY,
    key          UUID NOT NULL UNIQUE,                                   -- what comes twice is one
    source       TEXT NOT NULL CHECK (source IN ('own', 'bus', 'api', 'import')), -- who vouches for it
    at           TIMESTAMPTZ NOT NULL,                                   -- at most 5 minutes after received_at
    received_at  TIMESTAMPTZ NOT NULL,                                   -- of its batch; never falls as seq grows
    topic        TEXT COLLATE "C" NOT NULL,
    sender       TEXT,
    subject      TEXT,
    actor        TEXT,
    message_id   TEXT,
    content_type TEXT,
    headers      JSONB NOT NULL DEFAULT '{}',
    body         BYTEA NOT NULL                                          -- exactly what was sent
);
CREATE INDEX IF NOT EXISTS journal_by_topic ON journal_events (topic, seq);
CREATE INDEX IF NOT EXISTS journal_by_subject ON journal_events (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX IF NOT EXISTS journal_by_time ON journal_events (at, seq);
CREATE INDEX IF NOT EXISTS journal_by_users ON journal_events (at, seq) WHERE source = 'api';
CREATE INDEX IF NOT EXISTS journal_by_actor ON journal_events (topic, at) INCLUDE (actor)
    WHERE source = 'own' AND actor IS NOT NULL;
ALTER TABLE journal_events SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);

-- One row: the number of the last event. Whoever appends holds it until the commit.
CREATE TABLE IF NOT EXISTS journal_head (
    one         BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    seq         BIGINT NOT NULL,
    oldest      BIGINT NOT NULL,                                         -- events before it were swept
    received_at TIMESTAMPTZ NOT NULL,
    published   BIGINT NOT NULL DEFAULT 0,                               -- own events up to it are on the bus
    journal     UUID NOT NULL DEFAULT gen_random_uuid()                  -- its name on the bus
);
INSERT INTO journal_head (seq, oldest, received_at) VALUES (0, 1, '-infinity') ON CONFLICT DO NOTHING;
ALTER TABLE journal_head
    ADD COLUMN IF NOT EXISTS swept TIMESTAMPTZ;                          -- when the newest event that was swept had come

-- Positions of those who read the journal for good: events after them are not swept while they are heard of.
CREATE TABLE IF NOT EXISTS journal_readers (
    name     TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    heard_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS stats_statistics (
    id               INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             TEXT NOT NULL,
    version          INTEGER NOT NULL,
    layout           JSONB NOT NULL,                                     -- so that rows can be read without its code
    counted_from     BIGINT NOT NULL,                                    -- the first event that is in its rows
    position         BIGINT NOT NULL,                                    -- every event from there up to it is in its rows, and no other
    carried_until    TIMESTAMPTZ,                                        -- windows that start before it were copied from an older version
    carried_position BIGINT,                                             -- which had counted up to here
    shown            BOOLEAN NOT NULL DEFAULT false,                     -- whether readers see this version
    state            TEXT NOT NULL DEFAULT 'going' CHECK (state IN ('going', 'set_aside', 'absent')),
    trouble          TEXT,
    left_out         BIGINT NOT NULL DEFAULT 0,
    UNIQUE (name, version)
);
CREATE UNIQUE INDEX IF NOT EXISTS stats_shown ON stats_statistics (name) WHERE shown;

-- Counts, and values with a row for each bucket.
CREATE TABLE IF NOT EXISTS stats_cells (
    statistic INTEGER NOT NULL REFERENCES stats_statistics (id),
    width     INTEGER NOT NULL,                                          -- seconds; 0: all time
    start     TIMESTAMPTZ NOT NULL,
    key       TEXT COLLATE "C" NOT NULL,
    bucket    INTEGER NOT NULL DEFAULT 0,
    count     BIGINT NOT NULL,
    total     BIGINT NOT NULL DEFAULT 0,                                 -- thousandths, so that sums are exact
    most      BIGINT,
    PRIMARY KEY (statistic, width, start, key, bucket)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE IF NOT EXISTS stats_latest (
    statistic INTEGER NOT NULL REFERENCES stats_statistics (id),
    key       TEXT COLLATE "C" NOT NULL,
    at        TIMESTAMPTZ NOT NULL,
    seq       BIGINT NOT NULL,
    value     JSONB NOT NULL,
    PRIMARY KEY (statistic, key)
);

CREATE TABLE IF NOT EXISTS stats_distinct (
    statistic INTEGER NOT NULL REFERENCES stats_statistics (id),
    width     INTEGER NOT NULL,
    start     TIMESTAMPTZ NOT NULL,
    key       TEXT COLLATE "C" NOT NULL,
    sketch    BYTEA NOT NULL,                                            -- the registers of a HyperLogLog, deflated
    PRIMARY KEY (statistic, width, start, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

-- The first events of each statistic that it failed at.
CREATE TABLE IF NOT EXISTS stats_left_out (
    statistic INTEGER NOT NULL REFERENCES stats_statistics (id),
    seq       BIGINT NOT NULL,
    error     TEXT NOT NULL,
    PRIMARY KEY (statistic, seq)
);

-- Events that were swept, or left out by a backlog, before a statistic had counted them.
CREATE TABLE IF NOT EXISTS stats_gaps (
    statistic INTEGER NOT NULL REFERENCES stats_statistics (id),
    after     BIGINT NOT NULL,
    up_to     BIGINT NOT NULL,
    why       TEXT NOT NULL,
    PRIMARY KEY (statistic, after)
);

-- Jobs as the servers that have them declare them.
CREATE TABLE IF NOT EXISTS job_schedules (
    job      TEXT PRIMARY KEY,
    title    TEXT NOT NULL,
    schedule TEXT,                                                       -- the five fields of cron; NULL: only when asked
    zone     TEXT NOT NULL,
    last_due TIMESTAMPTZ NOT NULL,                                       -- all due times up to it were seen to
    paused   BOOLEAN NOT NULL DEFAULT false,
    seen_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS job_runs (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job           TEXT NOT NULL,
    reason        TEXT NOT NULL CHECK (reason IN ('schedule', 'asked', 'retry', 'resumed')),
    due           TIMESTAMPTZ,
    missed        INTEGER NOT NULL DEFAULT 0,                            -- due times before it that it stands for
    arguments     JSONB NOT NULL DEFAULT '{}',
    asked_by      TEXT,
    state         TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'completed', 'failed', 'cancelled', 'interrupted')),
    attempt       INTEGER NOT NULL DEFAULT 1,
    after         BIGINT,                                                -- the run whose next try it is
    not_before    TIMESTAMPTZ NOT NULL DEFAULT now(),
    server        BIGINT,
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    started_at    TIMESTAMPTZ,
    progressed_at TIMESTAMPTZ,
    ended_at      TIMESTAMPTZ,
    done          BIGINT,
    total         BIGINT,
    message       TEXT,
    error_code    TEXT,
    error_message TEXT
);
-- One run of a job at a time; each due time once; equal runs that wait are one.
CREATE UNIQUE INDEX IF NOT EXISTS job_runs_one_going ON job_runs (job) WHERE state = 'running';
CREATE UNIQUE INDEX IF NOT EXISTS job_runs_due_once ON job_runs (job, due) WHERE reason = 'schedule';
CREATE UNIQUE INDEX IF NOT EXISTS job_runs_same_waiting ON job_runs (job, arguments) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS job_runs_newest ON job_runs (job, id DESC);

-- What the next run of a job goes on from, written with the work that it tells of.
CREATE TABLE IF NOT EXISTS job_cookies (
    job   TEXT NOT NULL,
    name  TEXT NOT NULL,
    value JSONB NOT NULL,
    PRIMARY KEY (job, name)
);

-- Runs that are to end at their next step: of its own, so that whoever cancels waits for no step.
CREATE TABLE IF NOT EXISTS job_cancellations (
    run BIGINT PRIMARY KEY
);

-- Every day that was condensed, also without anybody.
CREATE TABLE IF NOT EXISTS usage_days (
    day          DATE PRIMARY KEY,
    timezone     TEXT NOT NULL,
    ends_at      TIMESTAMPTZ NOT NULL,                                   -- when the day ended, or will end, there
    condensed_at TIMESTAMPTZ NOT NULL                                    -- events were read up to this moment
);

-- Who did what on which day, in the time zone of the day.
CREATE TABLE IF NOT EXISTS usage_actors (
    day      DATE NOT NULL,
    action   TEXT NOT NULL,
    actor    TEXT COLLATE "C" NOT NULL,
    times    INTEGER NOT NULL,
    first_at TIMESTAMPTZ NOT NULL,
    last_at  TIMESTAMPTZ NOT NULL,
    before   DATE,                                                       -- the day before this one on which they did it
    PRIMARY KEY (action, actor, day)
);
CREATE INDEX IF NOT EXISTS usage_actors_by_day ON usage_actors (action, day) INCLUDE (actor, times, before);
ALTER TABLE usage_actors SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);

-- Names that were forgotten, by their digest, with those that stand for them: days condensed anew have the same people.
CREATE TABLE IF NOT EXISTS usage_forgotten (
    digest BYTEA PRIMARY KEY,                                            -- SHA-256 of the name
    name   TEXT NOT NULL
);
