-- The queries of promise_pub/accounts/store.py.

-- name: add_user(name, role, password)^
INSERT INTO access_users (name, role, password) VALUES (:name, :role, :password)
ON CONFLICT (name) DO NOTHING
RETURNING id;

-- name: users()
SELECT name, role, created_at FROM access_users ORDER BY name;

-- name: user(name)^
SELECT id, name, role, password, generation FROM access_users WHERE name = :name;

-- name: user_of_session(id, generation, session)^
-- The user a session belongs to, unless they were removed, changed their password, or logged out.
SELECT name, role FROM access_users
WHERE id = :id AND generation = :generation
  AND NOT EXISTS (SELECT FROM access_ended_sessions WHERE session = :session);

-- name: change_password(name, password)^
-- A new password ends every session of the old one.
UPDATE access_users SET password = :password, generation = generation + 1 WHERE name = :name
RETURNING id;

-- name: rehash(id, old, new)!
-- The same password under newer parameters, if nobody changed it meanwhile.
UPDATE access_users SET password = :new WHERE id = :id AND password = :old;

-- name: remove_user(name)^
DELETE FROM access_users WHERE name = :name RETURNING id;

-- name: add_token(name, role, digest, days)^
INSERT INTO access_tokens (name, role, digest, expires_at)
VALUES (:name, :role, :digest, now() + make_interval(days => :days))
ON CONFLICT (name) DO NOTHING
RETURNING expires_at;

-- name: tokens()
SELECT name, role, created_at, expires_at FROM access_tokens ORDER BY name;

-- name: token(digest)^
-- A token that has not expired.
SELECT name, role FROM access_tokens WHERE digest = :digest AND expires_at > now();

-- name: revoke_token(name)^
DELETE FROM access_tokens WHERE name = :name RETURNING name;

-- name: end_session(session, until)!
INSERT INTO access_ended_sessions (session, until) VALUES (:session, :until) ON CONFLICT DO NOTHING;

-- name: forget_ended_sessions()!
-- Sessions that have expired need not be remembered as ended.
DELETE FROM access_ended_sessions WHERE until < now();

-- name: offer_key(name, key)!
INSERT INTO access_keys (name, key) VALUES (:name, :key) ON CONFLICT DO NOTHING;

-- name: key(name)$
SELECT key FROM access_keys WHERE name = :name;
