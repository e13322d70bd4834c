-- A page of the journal, for store.py, which fills in {lead}, {value}, {there} and {order} from its own list. {lead} is the
-- column that is compared before the number, if any: topic or subject. Rows are compared, instead of one column with one
-- value, since only the index of both columns has that order: so PostgreSQL never reads all events by number, hoping to
-- find some of that topic soon.

-- name: page(after, before, limit, most_seen, most_bytes, topic, pattern, sender, subject, source, since, until)
-- Returns a row for each event that was found, or one without an event, each with what is known of the whole page: `full`,
-- and where it is not, in `edge` the number of the last event looked at, if there may be more beyond it.
WITH seen AS (
    SELECT * FROM journal_events
    WHERE ({lead}seq) > ({value}:after::bigint) AND ({lead}seq) < ({value}:before::bigint) {there}
    ORDER BY {order} LIMIT :most_seen
), found AS (
    SELECT seq, key, source, at, received_at, topic, sender, subject, actor, message_id, content_type, headers, body,
           octet_length(body) + octet_length(headers::text) AS size
    FROM seen
    WHERE (:topic::text IS NULL OR topic = :topic)
      AND (:sender::text IS NULL OR sender = :sender)
      AND (:subject::text IS NULL OR subject = :subject)
      AND (:source::text IS NULL OR source = :source)
      AND (:since::timestamptz IS NULL OR at >= :since)
      AND (:until::timestamptz IS NULL OR at < :until)
      AND (:pattern::text IS NULL OR CASE topic WHEN '' THEN '' ELSE '.' || topic END ~ :pattern)
    ORDER BY {order} LIMIT :limit
), weighed AS (
    SELECT *, sum(size) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) AS bytes FROM found
), page AS MATERIALIZED (
    SELECT * FROM weighed WHERE bytes - size < :most_bytes
), told AS (
    SELECT count(*) = :limit OR coalesce(max(bytes), 0) >= :most_bytes AS full FROM page
)
SELECT told.full, page.*,
       CASE WHEN NOT told.full THEN (
           SELECT seq FROM journal_events
           WHERE ({lead}seq) > ({value}:after::bigint) AND ({lead}seq) < ({value}:before::bigint) {there}
           ORDER BY {order} OFFSET :most_seen - 1 LIMIT 1
       ) END AS edge
FROM told LEFT JOIN page ON true
ORDER BY page.seq {direction};
