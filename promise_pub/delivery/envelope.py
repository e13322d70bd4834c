"""Rows → the bytes of their messages: AMQP frames, ready-made by the hundred."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from json.encoder import encode_basestring as json_string
from uuid import UUID

from pamqp import commands, frame

from promise_pub.records import Row

CHANNEL = 1
_FRAME_END = b"\xce"
_CONTENT_TYPE, _DELIVERY_MODE, _MESSAGE_ID, _TIMESTAMP, _APP_ID = (
    1 << 15,
    1 << 12,
    1 << 7,
    1 << 6,
    1 << 3,
)
_FLAGS = _CONTENT_TYPE | _DELIVERY_MODE | _MESSAGE_ID | _TIMESTAMP | _APP_ID
_PERSISTENT = 2
_BASIC_CLASS = 60
_HEADER_FRAME, _BODY_FRAME = 2, 3


class Envelope:
    """Rows → the bytes of their frames. What is the same for every message of a run is made once."""

    def __init__(self, run_id: UUID, started_at: datetime, max_content_size: int) -> None:
        self._run = f"{run_id}:".encode()
        self._max_content_size = max_content_size
        self._before_id = _short(b"application/json") + bytes([_PERSISTENT])
        self._after_id = (
            struct.pack(">Q", int(started_at.timestamp())) + _short(b"promise-pub") + _FRAME_END
        )
        self._method = b""

    def route_to(self, queue: str) -> None:
        publish = commands.Basic.Publish(exchange="", routing_key=queue, mandatory=True)
        self._method = frame.marshal(publish, CHANNEL)

    def frames(self, rows: Sequence[Row]) -> bytes:
        parts: list[bytes] = []
        for number, name, mail in rows:
            body = f'{{"name": {json_string(name)}, "mail": {json_string(mail)}}}'.encode()
            message_id = _short(self._run + b"%d" % number)
            size = (
                14 + len(self._before_id) + len(message_id) + len(self._after_id) - len(_FRAME_END)
            )
            head = struct.pack(
                ">BHIHHQH", _HEADER_FRAME, CHANNEL, size, _BASIC_CLASS, 0, len(body), _FLAGS
            )
            parts += (self._method, head, self._before_id, message_id, self._after_id)
            for start in range(0, len(body), self._max_content_size):
                piece = body[start : start + self._max_content_size]
                parts += (struct.pack(">BHI", _BODY_FRAME, CHANNEL, len(piece)), piece, _FRAME_END)
        return b"".join(parts)


def _short(text: bytes) -> bytes:
    """AMQP's short string: its length in one byte, then itself."""
    return bytes([len(text)]) + text
