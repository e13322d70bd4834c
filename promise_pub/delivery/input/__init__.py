"""The file: stored, read, judged. No sockets.

Does: streams an upload to disk with its SHA-256; cuts it into records; makes of each a numbered Row, or a Rejected with
its reason. read = accepted + rejected; blank lines and the header are neither.
Never: guesses a delimiter or an encoding; leaves half a file under its final name; lets a bad record cost another one.
Limits: 1 to 100 columns, 1 MB a record. Memory, and the time between two yields, are bounded whatever the bytes. A dry
run takes 20 MB for any number of rows.
Fails with: FileTooLarge, DiskFull, NoUsableRow, BadHeader, NotCsv; StoredFileError when a stored file has changed.
"""
