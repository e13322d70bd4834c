"""Evidence about each row, and the verdict that follows from it. No I/O.

Does: settles delivery tags, sums digests, writes row numbers as ranges, turns counts into a verdict with its reasons.
Never: calls a promise kept on a guess, or against what is known here; takes "not told" for zero.
Limits: latencies take constant memory; a sentence names at most 100 ranges of rows. A digest proves what was received,
and nothing of what was saved.
Fails with: none. What cannot be judged is `unknown`, with a reason.
"""
