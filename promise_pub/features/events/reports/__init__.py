"""Reports: what events on a line of time add up to.

Does: joins events to sessions, with the gaps between them and the hours of each day; groups the URLs that events are about.
Never: reads events by itself, or keeps them.
Fails with: ValueError where events are not in the order of their times.
"""
