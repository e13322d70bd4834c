-- The queries of store.py.

-- name: hold_names()!
-- Waits until nobody else condenses a day or forgets a name, and keeps others from it until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('promise-pub'), hashtext('usage names'));

-- name: clear_day(day, actions)!
DELETE FROM usage_actors WHERE action = ANY(:actions::text[]) AND day = :day;

-- name: add_actors(day, action, actors, times, first_ats, last_ats)!
-- Adds who did something on a day; those who were forgotten under the names that stand for theirs.
INSERT INTO usage_actors (day, action, actor, times, first_at, last_at)
SELECT :day::date, :action::text, coalesce(forgotten.name, given.actor), given.times, given.first_at, given.last_at
FROM unnest(:actors::text[], :times::integer[], :first_ats::timestamptz[], :last_ats::timestamptz[])
     AS given (actor, times, first_at, last_at)
LEFT JOIN usage_forgotten AS forgotten ON forgotten.digest = sha256(convert_to(given.actor, 'UTF8'));

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

-- name: newest()^
-- Returns the time zone of the newest day, and up to when its events were read.
SELECT timezone, least(ends_at, condensed_at) AS through FROM usage_days ORDER BY day DESC LIMIT 1;

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

-- name: count_periods(action, unit, start, end, excluded)
-- Returns the different people of each period of a range in which anybody was there, and how often they did it.
SELECT date_trunc(:unit::text, day::timestamp)::date AS start, count(DISTINCT actor) AS users, sum(times) AS actions
FROM usage_actors
WHERE action = :action AND day >= :start AND day < :end AND actor <> ALL(:excluded::text[])
GROUP BY 1;

-- name: count_users(action, start, end, excluded)$
-- Returns the number of different people of a range.
SELECT count(*) FROM (
    SELECT DISTINCT actor FROM usage_actors
    WHERE action = :action AND day >= :start AND day < :end AND actor <> ALL(:excluded::text[])
) AS actors;

-- name: count_rolling(action, width, start, end, excluded)
-- Returns the different people of the `width` days up to each day, and how often they did it, for the days before `end` on
-- which that changes. A day of somebody counts until their next one, or for `width` days.
WITH days AS MATERIALIZED (
    SELECT actor, day, times FROM usage_actors
    WHERE action = :action AND day > :start::date - :width::integer AND day < :end AND actor <> ALL(:excluded::text[])
), spans AS (
    SELECT day, least(day + :width::integer, coalesce(lead(day) OVER (PARTITION BY actor ORDER BY day), 'infinity')) AS until
    FROM days
), by_day AS (
    SELECT day, count(*) AS came, sum(times) AS actions FROM days GROUP BY day
), changes AS (
    SELECT day, came AS users, actions FROM by_day
    UNION ALL SELECT day + :width::integer, 0, -actions FROM by_day
    UNION ALL SELECT until, -count(*), 0 FROM spans GROUP BY until
)
SELECT day, sum(sum(users)) OVER (ORDER BY day) AS users, sum(sum(actions)) OVER (ORDER BY day) AS actions
FROM changes WHERE day < :end GROUP BY day ORDER BY day;

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
