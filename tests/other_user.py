"""Another account of the machine that tries everything of a running stack: `python -m tests.other_user`, as root.

Reads what there is as JSON, becomes that account, and writes as JSON what it could do. Everything is imported before: the
account cannot read the interpreter's own files.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import asyncpg

from promise_pub.amqp.connection import probe
from promise_pub.errors import BrokerRefused
from promise_pub.settings.model import RabbitSettings

GUESSES = ("", "guest", "promise_pub", "postgres", "guess")


@dataclass(frozen=True)
class Target:
    """A running stack: its files, its processes, and where its parts listen."""

    paths: list[str]
    pids: list[int]
    database: str
    amqp: int
    epmd: int
    node: str
    consumer: int


def use_files(target: Target) -> Iterator[str]:
    for path, (word, right) in product(target.paths, (("read", os.R_OK), ("write", os.W_OK))):
        if os.access(path, right):
            yield f"{word} {path}"


def use_sockets(target: Target) -> Iterator[str]:
    for path in target.paths:
        with suppress(OSError), closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(path)
            yield f"connect {path}"


def use_processes(target: Target) -> Iterator[str]:
    for pid in target.pids:
        with suppress(PermissionError):
            os.kill(pid, 0)
            yield f"signal {pid}"
        for file in ("environ", "maps", "mem"):
            with suppress(OSError):
                Path(f"/proc/{pid}/{file}").open("rb").close()
                yield f"open {file} of {pid}"


def use_database(target: Target) -> Iterator[str]:
    async def log_in(user: str, password: str) -> None:
        connection = await asyncpg.connect(
            host=target.database, user=user, password=password, database="promise_pub", timeout=10
        )
        await connection.close()

    for user, password in product(("promise_pub", "postgres", "nobody"), GUESSES):
        with suppress(OSError, asyncpg.PostgresError):
            asyncio.run(log_in(user, password))
            yield f"database as {user}"


def use_broker(target: Target) -> Iterator[str]:
    for user, password in product(("promise_pub", "guest", "rabbitmq"), GUESSES):
        settings = RabbitSettings(host="127.0.0.1", port=target.amqp, user=user, password=password)
        with suppress(BrokerRefused):
            asyncio.run(probe(settings))
            yield f"broker as {user}"


def use_erlang(target: Target) -> Iterator[str]:
    for cookie in ("guess", "0" * 64, "A" * 20):
        if command_node(target.node, target.epmd, cookie):
            yield f"node by cookie {cookie}"


def command_node(node: str, epmd: int, cookie: str) -> bool:
    """Returns True where the node does what this cookie asks for."""
    done = subprocess.run(
        ["/usr/bin/erl_call", "-c", cookie, "-n", node, "-a", "erlang node"],
        env={"ERL_EPMD_PORT": str(epmd), "HOME": "/nonexistent", "PATH": os.defpath},
        cwd="/",
        capture_output=True,
        timeout=60,
    )
    return done.returncode == 0 and node.encode() in done.stdout


def use_consumer(target: Target) -> Iterator[str]:
    for token in ("", *(f"Bearer {guess}" for guess in GUESSES)):
        request = urllib.request.Request(
            f"http://127.0.0.1:{target.consumer}/create/", headers={"Authorization": token}
        )
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=10):
            yield "consumer"


ATTEMPTS: tuple[Callable[[Target], Iterator[str]], ...] = (
    use_files,
    use_sockets,
    use_processes,
    use_database,
    use_broker,
    use_erlang,
    use_consumer,
)


def attempt(target: Target, uid: int) -> list[str]:
    """Lists what an account could do, each in a few words."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(uid)],
        input=json.dumps(asdict(target)).encode(),
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        check=True,
        timeout=300,
    )
    return list(json.loads(done.stdout))


def main() -> None:
    uid, target = int(sys.argv[1]), Target(**json.load(sys.stdin))
    "a name".encode("idna")  # imports what resolving an address takes
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    os.chdir("/")
    json.dump([did for use in ATTEMPTS for did in use(target)], sys.stdout)


if __name__ == "__main__":
    main()
