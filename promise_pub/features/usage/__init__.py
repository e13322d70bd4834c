"""Usage: who came, by day, and how many different people in any period.

Does: condenses what people did on each day, in one time zone, by a job; counts different people by day, week, month, quarter,
year, over a range and over rolling windows; forgets a name and keeps the numbers.
Never: adds up the people of days; shows a period that is cut or still goes on as a whole one; deletes a day that the journal
cannot give again.
Limits: names are kept for 1,100 days, unless set; 4,000 periods in one answer.
Fails with: BadParameter, BokehMissing, UsageZoneChanged, DatabaseError.
"""
