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

-- name: sweep(before, most, published, unheard)^
-- Deletes the first events as far as they were received before then, `most` of them at most, and none after the number
-- `published`, or after the position of a reader who was heard of within the time `unheard`. Returns how many these are,
-- and the name of the reader for whom another one stays, "" for the bus. Reads one event where there is nothing to delete.
WITH holding AS MATERIALIZED (
    SELECT name, position FROM journal_readers WHERE heard_at > now() - :unheard::interval
    UNION ALL SELECT '', :published::bigint WHERE :published::bigint IS NOT NULL
    ORDER BY position LIMIT 1
), swept AS (
    DELETE FROM journal_events
    WHERE seq >= (SELECT oldest FROM journal_head) AND seq < (SELECT oldest + :most::bigint FROM journal_head)
      AND received_at < :before AND seq <= coalesce((SELECT position FROM holding), seq)
      AND (SELECT received_at < :before FROM journal_events WHERE seq = (SELECT oldest FROM journal_head))
    RETURNING seq, received_at
), moved AS (
    UPDATE journal_head SET oldest = greatest(oldest, (SELECT max(seq) + 1 FROM swept)),
                            swept = greatest(swept, (SELECT max(received_at) FROM swept))
    WHERE EXISTS (SELECT FROM swept)
)
SELECT (SELECT count(*) FROM swept) AS deleted,
       (SELECT name FROM holding JOIN journal_head ON true
        JOIN journal_events AS event ON event.seq = greatest(position + 1, oldest)
        WHERE event.received_at < :before) AS held_for;

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

-- name: bounds()^
-- Returns the numbers of the first event that is kept and of the last one.
SELECT oldest, seq AS newest FROM journal_head;

-- name: after(position, most, most_bytes)
-- Returns the events that follow this number, in their order, until they are `most` or weigh `most_bytes`.
WITH found AS (
    SELECT seq, sum(octet_length(body) + pg_column_size(headers)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING)
                - octet_length(body) - pg_column_size(headers) AS before,
           key, source, at, received_at, topic, sender, subject, actor, message_id, content_type, headers, body
    FROM (SELECT * FROM journal_events WHERE seq > :position::bigint ORDER BY seq LIMIT :most) AS next
)
SELECT * FROM found WHERE before < :most_bytes ORDER BY seq;

-- name: first_since(moment)$
-- Returns the number of the first event that was received at that moment or after it, one more than the last where none
-- was. It halves the numbers, which have no holes and along which the time of arrival never falls.
WITH RECURSIVE probe AS (
    SELECT oldest AS low, seq + 1 AS high FROM journal_head
    UNION ALL
    SELECT CASE WHEN early THEN middle + 1 ELSE low END, CASE WHEN early THEN high ELSE middle END
    FROM (SELECT low, high, (low + high) / 2 AS middle FROM probe WHERE low < high) AS halved
    CROSS JOIN LATERAL (SELECT received_at < :moment::timestamptz AS early FROM journal_events WHERE seq = middle) AS event
)
SELECT max(low) FROM probe;

-- name: told_by_users(since, until, most, most_bytes)
-- Returns the newest events that users told in this time, the body of those that are not too long.
SELECT at, seq, topic, CASE WHEN octet_length(body) <= :most_bytes THEN body END AS body
FROM journal_events
WHERE source = 'api' AND at >= :since AND at < :until
ORDER BY at DESC, seq DESC LIMIT :most;

-- name: keep_from(reader, position)!
-- Notes the position of one who reads the journal for good.
INSERT INTO journal_readers (name, position, heard_at) VALUES (:reader, :position, now())
ON CONFLICT (name) DO UPDATE SET position = excluded.position, heard_at = excluded.heard_at;

-- name: numbers_between(since, until, most)^
-- Returns how many events happened in this time, counting no more than `most`, and the first and last number of those.
SELECT count(*) AS count, min(seq) AS first, max(seq) AS last
FROM (SELECT seq FROM journal_events WHERE at >= :since AND at < :until ORDER BY at LIMIT :most) AS found;

-- name: told_topics()
-- Returns the topics of own events that somebody told, each by one look at the index.
WITH RECURSIVE told AS (
    SELECT min(topic) AS topic FROM journal_events WHERE source = 'own' AND actor IS NOT NULL
    UNION ALL
    SELECT (SELECT min(topic) FROM journal_events WHERE source = 'own' AND actor IS NOT NULL AND topic > told.topic)
    FROM told WHERE topic IS NOT NULL
)
SELECT topic FROM told WHERE topic IS NOT NULL;

-- name: actors(topics, since, until)
-- Returns who told own events of these topics in this time, and how often.
SELECT actor, count(*)::integer AS times, min(at) AS first_at, max(at) AS last_at
FROM journal_events
WHERE source = 'own' AND actor IS NOT NULL AND topic = ANY (:topics::text[]) AND at >= :since AND at < :until
GROUP BY actor;

-- name: first_at(topics)$
-- Returns when the first own event of these topics happened that somebody told.
SELECT min(first.at)
FROM unnest(:topics::text[]) AS told (topic), LATERAL (
    SELECT at FROM journal_events WHERE source = 'own' AND actor IS NOT NULL AND topic = told.topic ORDER BY at LIMIT 1) AS first;

-- name: newest_swept()$
-- Returns when the newest event came that was swept: in a journal that was swept by an older version, one that came later.
SELECT coalesce(swept, CASE WHEN oldest > 1 THEN coalesce(
    (SELECT received_at FROM journal_events WHERE seq = oldest), received_at) END)
FROM journal_head;
