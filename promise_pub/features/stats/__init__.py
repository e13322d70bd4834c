"""Statistics by plugins: counted from the journal, kept in PostgreSQL.

Each event of the journal counts once in each statistic, whoever is killed when: rows and the position up to which they are
counted move in one transaction. A statistic reads the journal by number; live counting, the history of a new statistic and
the rebuild of a changed one are the same loop. An error of a plugin leaves that event out for that statistic, and is shown.
Nothing here listens to the bus.
"""
