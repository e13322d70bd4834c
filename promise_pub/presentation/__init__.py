"""Words and charts for pages and terminals alike. Pure.

Does: turns runs, numbers, times, states and errors into people's words, gauges and charts.
Never: decides anything: what a run is, and what its verdict is, comes from delivery.
Limits: charts are drawn from a few hundred samples.
Fails with: none.
"""
