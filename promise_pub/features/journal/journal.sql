-- The queries of store.py.

-- name: bound_waits(lock, idle)^
-- Bounds, in milliseconds, how long the rest of this transaction waits for a lock, and how long it may hold one while
-- its client says nothing: that may be gone without a word. Statements are planned anew, since a plan that was made for
-- an empty table would read all of it once it has grown.
SELECT set_config('lock_timeout', :lock::text, true), set_config('idle_in_transaction_session_timeout', :idle::text, true),
       set_config('plan_cache_mode', 'force_custom_plan', true);

-- name: hold_head()^
-- Keeps others from appending until the transaction ends. Returns the number of the last event, and the time of arrival
-- of the next ones, which never falls.
SELECT seq, greatest(clock_timestamp(), received_at) AS now FROM journal_head FOR UPDATE;

-- name: numbers(keys)
-- Returns the numbers of the events with these keys.
SELECT key, seq FROM journal_events WHERE key = ANY(:keys::uuid[]);

-- name: move_head(seq, received_at)!
-- Sets the number of the last event, and when it came.
UPDATE journal_head SET seq = :seq, received_at = :received_at;

-- name: take_outbox(most)
-- Deletes the first events of the outbox, and returns them in no order.
DELETE FROM outbox WHERE n IN (SELECT n FROM outbox ORDER BY n LIMIT :most)
RETURNING n, message_id, at, topic, subject, actor, body;

-- name: sweep(before, most, protect)$
-- Deletes the first events as far as they were received before then, `most` of them at most and none after the number
-- `protect`, and returns how many these are. Reads one event where there is nothing to delete.
WITH swept AS (
    DELETE FROM journal_events
    WHERE seq >= (SELECT oldest FROM journal_head) AND seq < (SELECT oldest + :most::bigint FROM journal_head)
      AND received_at < :before AND (:protect::bigint IS NULL OR seq <= :protect)
      AND (SELECT received_at < :before FROM journal_events WHERE seq = (SELECT oldest FROM journal_head))
    RETURNING seq
), moved AS (
    UPDATE journal_head SET oldest = greatest(oldest, (SELECT max(seq) + 1 FROM swept)) WHERE EXISTS (SELECT FROM swept)
)
SELECT count(*) FROM swept;

-- name: try_publishing()$
-- True when no other server publishes; none does until the transaction ends. A lock of two keys, as the turn of runs is.
SELECT pg_try_advisory_xact_lock(hashtext('promise-pub'), hashtext('publishing'));

-- name: move_published(position)!
-- Sets how far own events are on the bus, never back.
UPDATE journal_head SET published = :position WHERE published < :position;

-- name: head()^
-- Returns the state of the journal. Where no event ever arrived, asyncpg could not read the time.
SELECT seq, oldest, greatest(received_at, 'epoch') AS received_at, published, journal,
       EXISTS (SELECT FROM outbox) AS waiting
FROM journal_head;

-- name: event(seq)^
-- Returns one event.
SELECT seq, key, source, at, received_at, topic, sender, subject, actor, message_id, content_type, headers, body
FROM journal_events WHERE seq = :seq;

-- name: first_since(moment)$
-- Returns a number before which every event happened before then: that of the first one that was received at most
-- 5 minutes earlier. It halves the numbers, which have no holes and along which the time of arrival never falls.
WITH RECURSIVE probe AS (
    SELECT oldest AS low, seq + 1 AS high FROM journal_head
    UNION ALL
    SELECT CASE WHEN early THEN middle + 1 ELSE low END, CASE WHEN early THEN high ELSE middle END
    FROM (SELECT low, high, (low + high) / 2 AS middle FROM probe WHERE low < high) AS halved
    CROSS JOIN LATERAL (
        SELECT received_at < :moment::timestamptz - interval '5 minutes' AS early
        FROM journal_events WHERE seq = middle
    ) AS event
)
SELECT max(low) FROM probe;

-- name: numbers_between(since, until, most)^
-- Returns how many events happened in this time, counting no more than `most`, and the first and last number of those.
SELECT count(*) AS count, min(seq) AS first, max(seq) AS last
FROM (SELECT seq FROM journal_events WHERE at >= :since AND at < :until ORDER BY at LIMIT :most) AS found;
