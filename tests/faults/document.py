"""docs/reliability.md: what was tried, what came of it, what is promised and what is not."""

from __future__ import annotations

from tests.faults.checker import Record, table

_HEAD = """\
# Reliability

Written by `make reliability`, which tries 40 random moments, or `make soak`, which tries 500; `make test` tries the same
faults, at the first 10 of those moments. Everything runs as processes of its own: the server, the bundled consumer or a
double of the consumers in the field, RabbitMQ, PostgreSQL. They are killed with `kill -9` and started again; the lines
between them are cut, stalled, delayed, and cut in the middle of a frame; the broker closes channels, raises alarms,
refuses; the clock jumps. After each fault the same checker looks from outside:

- **at the file**: which rows are to be saved, of each mail the first, and what their digest is, which it sums itself;
- **at the consumer's database**: the table, and a note that a trigger makes of every insert. The table's mails are
  unique, so a row that is saved, lost and saved again, or saved once and counted twice, shows only there;
- **at the report**: rows by fate add up; its digest is the file's, the consumer's is that of the rows that it says it
  received; what the sessions say they saved is what was inserted; what was received again was told as sent again;
- **at what is left** when every run has ended: no half taken file, no connection to broker or consumer, no session at
  the consumer, no queue unless its consumer was killed or the broker forgot, when it was, that it had deleted it; no
  lock but the name of the server that lives, no transaction.

The journal is tried the same way, with a sender and a listener on the bus that are nobody's but the test's: the sender
publishes again what the broker did not confirm, one event in twenty twice, all in disorder, some hours late and some in
the future. Then the checker looks:

- **at the journal**: each event is there once, byte for byte and with its moment as it was sent, of which those that
  claim to be ahead of the clock are dated by their arrival; numbers have no holes, and no event arrived before one with
  a lower number;
- **at the bus**: every own event was heard; the queue is empty, and so is the outbox;
- **at the server**: while the database is away it acknowledges nothing, has no more than 1,000 messages in hand and
  grows by no more than these; an outage is logged once, and once when it is over.

*Lost* are rows that are not in the table and that no report names; *doubled* are inserts beyond one for each mail.
*Named as lost* are rows that are really gone, because somebody deleted the queue that held them, say: the verdict of
their runs is `broken`, and says which they are. Where events are at stake, *lost* are those that are not in the journal,
or own ones that were not heard on the bus, and *doubled* those that are there more than once; `dense` is said of a
journal whose numbers have no holes.
"""
_TAIL = """
## What holds at every moment

- accepted = confirmed + returned + nacked + in flight + not yet published, and read = accepted + rejected.
- A row is published again only if it had no confirm when its connection was lost, or if the session it was published to
  is gone; it keeps its `message_id`, and the report counts it (`resent`) with the reason.
- A checkpoint is a record boundary before which every row is settled. What is resumed starts there, or earlier.
- `kept` is said only where every accepted row was confirmed, received, and saved or explained; where the consumer tells a
  digest, also only if it is equal to that of the file's rows.
- The events that a run told add up to its report, each of them told once, and the journal has no holes in its numbers.
- An event that was committed with what it is about, or confirmed by the broker with an id, is in the journal once,
  whoever was killed when. A message of the bus is acknowledged after its commit. Servers of one database share the queue,
  and publish own events by turns: in quiet operation each of these is on the bus once.
- A file has a run only if it is whole on disk; a run has one server; a consumer hears one server at a time.

## What is not promised

- A consumer that acks a message before it has saved the row can lose what it had taken when it dies: nobody else has
  it any more. (The bundled consumer acks after the commit. Consumers in the field that read with auto-ack do not.) Its
  counts then do not add up, the verdict is `broken` or the run fails; but without a digest and row numbers nobody can
  say which rows they were.
- What a session told before it died is believed as far as it goes: that it reads its queue in order.
- That nothing stays of what was killed. The queue of a consumer that was killed expires after a day; so does one that
  RabbitMQ had deleted just before it was killed, and has again when it starts. A session whose
  `/create/` was answered to nobody holds nothing, and the bundled consumer forgets it after two hours. A server that is
  killed in its first half second with a session has not noted it yet: the run goes on in another, which finds there what
  the first one saved, and counts it as repeats.
- Two faults at once. Most pairs are survived too; they are not tried one by one.
- Own events are not published again. A server that is killed, or cut off from the database, between an event's confirm
  and the note of it leaves it to be published once more, with the same id.
- An event of the bus without an id is counted again when it is delivered again.
- A broker that confirms a message and then loses it: a queue that is not durable goes with the broker. A new session gets
  the rows that the old one had not told to be done with; rows the old one took and never saved are as above.
"""


def text(record: Record, seconds: float) -> str:
    tried = sum(entry.tries for entry in record.entries.values())
    rows = sum(entry.rows for entry in record.entries.values())
    summary = f"\n{tried:,} faults with {rows:,} rows at stake, in {seconds / 60:.1f} minutes.\n"
    return "\n".join([_HEAD, *table(record, seconds), summary]) + _TAIL
