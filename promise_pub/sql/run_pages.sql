-- A page of the runs, for promise_pub/delivery/store/ledger.py, which fills in {key} and {direction} from its own lists.
-- A query for each order walks an index of its own (see scheme.sql), and reads nothing but the runs of the page: of
-- 100,000 runs, filtered or not, the first page or the last.

-- name: page(state, verdict, mode, file, most, skip)
WITH page AS (
    SELECT id, row_number() OVER (ORDER BY {key} {direction}, id {direction}) AS place
    FROM runs
    WHERE (:state::text IS NULL OR state = :state) AND (:verdict::text IS NULL OR verdict = :verdict)
      AND (:mode::text IS NULL OR mode = :mode) AND (:file = '' OR strpos(file_folded, (SELECT lower(:file))) > 0)
    ORDER BY {key} {direction}, id {direction} LIMIT :most OFFSET :skip
)
SELECT runs.* FROM page JOIN runs USING (id) ORDER BY place;
