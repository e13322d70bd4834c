"""Reports: what events on a line of time add up to.

Does: joins events to sessions, with the gaps between them and the hours of each day; groups the URLs that events are about;
counts events by time and by what they share; shows each report as text, CSV and JSON, by its name.
Never: reads events by itself, or writes reports anywhere.
Limits: a histogram has 2,000 bins. Gaps, hours and events are shown as they are read, in constant memory but for JSON; others
keep what they count, and a histogram 8 bytes of each event.
Fails with: ValueError where events are not in the order of their times, and for reports and options that there are not.
"""
