"""The row ledger: the fate of every record of a run's file, with its line, its content, the reason, and what it repeats.

Does: works out at a run's end what became of each record, from the file, the rows that the broker lost, what the
sessions say of theirs, and one look-up of the file's mails in employees; keeps it piece by piece of the file; finds
records again by fate, text and line.
Never: gives a row a fate that the evidence leaves open (it is `unknown`, with the reason); shows a content that is not
the one that was sent.
Limits: some bytes in the database a row at most, usually a hundred for each 2,000 rows; memory for one piece of the
file. A run in progress has no fates yet.
Fails with: RowsNotReady while the run is in progress; RowsLost where the file was gone, or had changed, before its rows
were listed, or when a text is to be found. Otherwise fates and lines remain without the file.
"""
