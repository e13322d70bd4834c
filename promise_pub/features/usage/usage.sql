-- The queries of store.py.

-- name: hold_names()!
-- Waits until nobody else condenses a day or forgets a name, and keeps others from it until the transaction ends. Statements
-- are planned anew, since a plan that was made for an empty table would read all of it once it has grown.
SELECT pg_advisory_xact_lock(hashtext('promise-pub'), hashtext('usage names')),
       set_config('plan_cache_mode', 'force_custom_plan', true);

-- name: forgotten()
SELECT digest, name FROM usage_forgotten;

-- name: remove_others(day, among, actions, actors)!
-- Removes from a day all but these, and takes them out of the chain of the days of each. `among` are all actions.
WITH gone AS (
    DELETE FROM usage_actors AS stored
    WHERE action = ANY(:among::text[]) AND day = :day AND NOT EXISTS (
        SELECT FROM unnest(:actions::text[], :actors::text[]) AS given (action, actor)
        WHERE given.action = stored.action AND given.actor = stored.actor)
    RETURNING action, actor, before
)
UPDATE usage_actors AS later SET before = gone.before
FROM gone CROSS JOIN LATERAL (
    SELECT day FROM usage_actors AS one WHERE one.action = gone.action AND one.actor = gone.actor AND one.day > :day
    ORDER BY day LIMIT 1) AS next
WHERE later.action = gone.action AND later.actor = gone.actor AND later.day = next.day;

-- name: put_actors(day, actions, actors, times, first_ats, last_ats)!
-- Adds these to a day, or changes what is told of them.
INSERT INTO usage_actors AS stored (day, action, actor, times, first_at, last_at, before)
SELECT :day::date, given.*, (
    SELECT max(day) FROM usage_actors AS one WHERE one.action = given.action AND one.actor = given.actor AND one.day < :day)
FROM unnest(:actions::text[], :actors::text[], :times::integer[], :first_ats::timestamptz[], :last_ats::timestamptz[])
     AS given (action, actor, times, first_at, last_at)
ON CONFLICT (action, actor, day) DO UPDATE
SET times = excluded.times, first_at = excluded.first_at, last_at = excluded.last_at
WHERE (stored.times, stored.first_at, stored.last_at) <> (excluded.times, excluded.first_at, excluded.last_at);

-- name: chain_later(day, actions, actors)!
-- Lets the next day of each of these know that this is the one before it.
UPDATE usage_actors AS later SET before = :day
FROM unnest(:actions::text[], :actors::text[]) AS given (action, actor) CROSS JOIN LATERAL (
    SELECT day FROM usage_actors AS one WHERE one.action = given.action AND one.actor = given.actor AND one.day > :day
    ORDER BY day LIMIT 1) AS next
WHERE :day::date < (SELECT max(day) FROM usage_days)
  AND later.action = given.action AND later.actor = given.actor AND later.day = next.day
  AND later.before IS DISTINCT FROM :day;

-- name: put_day(day, timezone, ends_at, condensed_at)!
INSERT INTO usage_days (day, timezone, ends_at, condensed_at) VALUES (:day, :timezone, :ends_at, :condensed_at)
ON CONFLICT (day) DO UPDATE SET timezone = excluded.timezone, ends_at = excluded.ends_at, condensed_at = excluded.condensed_at;

-- name: sweep(before, after, actions, most)$
-- Deletes days before one and days after another, `most` of them at most, and returns how many these were.
WITH old AS (
    DELETE FROM usage_days
    WHERE day IN (SELECT day FROM usage_days WHERE day < :before OR day > :after ORDER BY day LIMIT :most)
    RETURNING day
), actors AS (
    DELETE FROM usage_actors WHERE action = ANY(:actions::text[]) AND day IN (SELECT day FROM old)
)
SELECT count(*) FROM old;

-- name: condensed(today)^
-- Returns the first day that is condensed, and the time zone of the newest up to today; NULL where there is none.
SELECT min(day) AS oldest, (SELECT timezone FROM usage_days WHERE day <= :today ORDER BY day DESC LIMIT 1) AS timezone
FROM usage_days;

-- name: bounds()^
-- Returns the first and the last day, the time zone of the last one, and up to when its events were read.
SELECT (SELECT min(day) FROM usage_days) AS oldest, day AS newest, timezone, least(ends_at, condensed_at) AS through
FROM usage_days ORDER BY day DESC LIMIT 1;

-- name: whole_days(start, end)
-- Returns the days of a range that are condensed to their end, in their order.
SELECT day FROM usage_days WHERE day >= :start AND day < :end AND condensed_at >= ends_at ORDER BY day;

-- name: zone_changes(start, end)
-- Returns the days of a range that are of another time zone than the condensed day before them.
SELECT day, timezone
FROM (SELECT day, timezone, lag(timezone) OVER (ORDER BY day) AS before FROM usage_days WHERE day < :end) AS days
WHERE day >= :start AND timezone <> before ORDER BY day;

-- name: stand_ins(names)
-- Returns the names that stand for those of these that were forgotten.
SELECT name FROM usage_forgotten
WHERE digest IN (SELECT sha256(convert_to(name, 'UTF8')) FROM unnest(:names::text[]) AS given (name));

-- name: count_periods(action, starts, since, until, excluded)
-- Returns the different people of each period of a range in which anybody was there, how often they did it, and how many
-- of them were not there before in the range. `starts` tells, for each day of the range, the first of its period there: on
-- it, or later, somebody is counted who was not there before in this period.
SELECT start, count(*) FILTER (WHERE before IS NULL OR before < start) AS users, sum(times) AS actions,
       count(*) FILTER (WHERE before IS NULL OR before < :since) AS newcomers
FROM (
    SELECT (:starts::date[])[day - :since::date + 1] AS start, before, times FROM usage_actors
    WHERE action = :action AND day >= :since AND day < :until AND actor <> ALL(:excluded::text[])
) AS days
GROUP BY start;

-- name: count_rolling(action, width, start, since, until, excluded)
-- Returns the different people of the `width` days up to each day, and how often they did it, for the days on which that
-- changes; and how many were there on the day, and not before since `start`. Somebody's day counts for `width` days, but
-- only from when the day before it does no longer.
WITH days AS MATERIALIZED (
    SELECT day, greatest(day, CASE WHEN before >= :since THEN before + :width::integer END) AS counted_from,
           count(*) AS users, sum(times) AS actions,
           count(*) FILTER (WHERE day >= :start AND (before IS NULL OR before < :start)) AS newcomers
    FROM usage_actors
    WHERE action = :action AND day >= :since AND day < :until AND actor <> ALL(:excluded::text[])
    GROUP BY 1, 2
), changes AS (
    SELECT counted_from AS day, users, 0 AS actions, 0 AS newcomers FROM days
    UNION ALL SELECT day, 0, actions, newcomers FROM days
    UNION ALL SELECT day + :width::integer, -users, -actions, 0 FROM days
)
SELECT day, sum(sum(users)) OVER (ORDER BY day) AS users, sum(sum(actions)) OVER (ORDER BY day) AS actions,
       sum(newcomers) AS newcomers
FROM changes GROUP BY day ORDER BY day;

-- name: actors_of(day, action)
-- Returns who did something on a day, by name.
SELECT actor, times, first_at, last_at FROM usage_actors WHERE action = :action AND day = :day ORDER BY actor;

-- name: add_forgotten(actor, name)!
-- Lets a name stand for another one, unless one does already, or that is such a name itself.
INSERT INTO usage_forgotten (digest, name)
SELECT sha256(convert_to(:actor::text, 'UTF8')), :name::text WHERE NOT EXISTS (SELECT FROM usage_forgotten WHERE name = :actor)
ON CONFLICT DO NOTHING;

-- name: rename(actor, actions)$
-- Puts the name that stands for another one in its place, and returns on how many days.
WITH renamed AS (
    UPDATE usage_actors SET actor = forgotten.name FROM usage_forgotten AS forgotten
    WHERE action = ANY(:actions::text[]) AND actor = :actor AND digest = sha256(convert_to(:actor, 'UTF8'))
    RETURNING day
)
SELECT count(DISTINCT day) FROM renamed;
