"""MQTT-based file delivery: streams of files, which devices read in blocks.

AWS IoT Developer Guide, "MQTT-based file delivery"; API Reference, "CreateStream". The guide leaves open what happens
to a block beyond the end of a file (it is left out here) and where a bitmap starts (at the offset here).
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mqtt443_authorizer.database import transaction

from mqtt443_tools.localcore.jobs.request_fields import STREAM_ID, optional_text, text, whole
from mqtt443_tools.localcore.jobs.service_errors import ServiceError, already_exists, invalid, not_found
from mqtt443_tools.localcore.jobs.thing_registry import Params

MIN_BLOCK_BYTES, MAX_BLOCK_BYTES = 256, 131_072
MAX_FILE_BYTES = 24 * 1024 * 1024
MAX_FILES = 50
MAX_BITMAP_CHARACTERS = 24_576
Found = dict[str, Any]


class Streams:
    """The streams of the account, whose files are objects in an emulated bucket.

    Args:
        database: see `jobs_database`.
        arn_prefix: `arn:aws:iot:REGION:ACCOUNT`.
        now: returns Unix seconds.
    """

    def __init__(self, database: sqlite3.Connection, arn_prefix: str, now: Callable[[], float]) -> None:
        self._db = database
        self._arn_prefix = arn_prefix
        self._now = now

    def create_stream(self, params: Params) -> Params:
        """CreateStream."""
        stream_id, files = text(params, "streamId", STREAM_ID), params.get("files")
        role, description = text(params, "roleArn"), optional_text(params, "description")
        if not isinstance(files, list) or not 1 <= len(files) <= MAX_FILES:
            raise invalid(f"files: must be a list of 1 to {MAX_FILES} files")
        if self._find(stream_id) is not None:
            raise already_exists(f"Stream {stream_id} already exists.")
        rows: list[tuple[str, int, str, str]] = []
        for each in files:
            place = each.get("s3Location") if isinstance(each, dict) else None
            if not isinstance(place, dict):
                raise invalid("files: each must have a fileId and an s3Location")
            number = whole(each, "fileId", 0, 255)
            if number is None:
                raise invalid("files: each must have a fileId")
            bucket, name = text(place, "bucket"), text(place, "key")
            if self._size(bucket, name) is None:
                raise invalid(f"files: there is no object {name} in {bucket}")
            if number in {row[1] for row in rows}:
                raise invalid(f"files: the fileId {number} occurs twice")
            rows.append((stream_id, number, bucket, name))
        now = self._now()
        with transaction(self._db):
            self._db.execute("INSERT INTO streams VALUES (?, 1, ?, ?, ?, ?)", (stream_id, description, role, now, now))
            self._db.executemany("INSERT INTO stream_files VALUES (?, ?, ?, ?)", rows)
        arn = f"{self._arn_prefix}:stream/{stream_id}"
        shown = {"streamId": stream_id, "streamArn": arn, "streamVersion": 1}
        return shown | ({"description": description} if description else {})

    def describe_stream(self, params: Params) -> Params:
        """DescribeStream."""
        row = self._get(text(params, "streamId", STREAM_ID))
        files = [
            {"fileId": each["file_id"], "s3Location": {"bucket": each["bucket"], "key": each["name"]}}
            for each in self._files(row["stream_id"])
        ]
        info = {
            "streamId": row["stream_id"],
            "streamArn": f"{self._arn_prefix}:stream/{row['stream_id']}",
            "streamVersion": row["version"],
            "files": files,
            "createdAt": row["created_at"],
            "lastUpdatedAt": row["updated_at"],
            "roleArn": row["role_arn"],
        }
        return {"streamInfo": info | ({} if row["description"] is None else {"description": row["description"]})}

    def delete_stream(self, params: Params) -> Params:
        """DeleteStream."""
        row = self._get(text(params, "streamId", STREAM_ID))
        with transaction(self._db):
            self._db.execute("DELETE FROM stream_files WHERE stream_id = ?", (row["stream_id"],))
            self._db.execute("DELETE FROM streams WHERE stream_id = ?", (row["stream_id"],))
        return {}

    def describe(self, stream_id: str, request: Mapping[str, Any]) -> Found:  # noqa: ARG002 - it has no parameters
        """DescribeStream of a device."""
        row = self._get(stream_id)
        files = [{"f": each["file_id"], "z": each["size"]} for each in self._files(stream_id)]
        return {"s": row["version"], "d": row["description"] or "", "r": files}

    def blocks(self, stream_id: str, request: Mapping[str, Any]) -> Iterator[Found]:
        """Return the blocks of a GetStream request, one message each. Raises ServiceError before the first.

        `l` is the length of a block, `o` the first block, `n` the number of blocks, `b` a bitmap in hexadecimal.
        """
        row = self._get(stream_id)
        if (version := whole(request, "s", 1, 65_535)) is not None and version != row["version"]:
            raise ServiceError("VersionMismatch", f"The stream's version is {row['version']}.")
        file_id = whole(request, "f", 0, 255)
        length = whole(request, "l", MIN_BLOCK_BYTES, MAX_BLOCK_BYTES, code="BlockSizeOutOfBounds")
        if file_id is None or length is None:
            raise invalid("f and l, the file and the length of a block, are required")
        file = next((each for each in self._files(stream_id) if each["file_id"] == file_id), None)
        if file is None:
            raise not_found(f"Stream {stream_id} has no file {file_id}.")
        numbers = self._numbers(request, -(-file["size"] // length))
        return self._read(file, length, numbers[: MAX_BLOCK_BYTES // length])

    def _numbers(self, request: Mapping[str, Any], blocks: int) -> list[int]:
        first = whole(request, "o", 0, max(blocks - 1, 0), default=0, code="OffsetOutOfBounds") or 0
        count = whole(request, "n", 1, 98_304, code="BlockCountLimitExceeded")
        bitmap = request.get("b")
        if bitmap is not None:
            if not isinstance(bitmap, str) or len(bitmap) > MAX_BITMAP_CHARACTERS:
                raise ServiceError("BlockBitmapLimitExceeded", f"b: at most {MAX_BITMAP_CHARACTERS:,} characters")
            try:
                bits = bytes.fromhex(bitmap.removeprefix("0x"))
            except ValueError:
                raise invalid("b: must be hexadecimal") from None
            numbers = [first + at for at in range(8 * len(bits)) if bits[at // 8] >> (at % 8) & 1]
            numbers = [number for number in numbers if number < blocks]
            return numbers if count is None else numbers[:count]
        return list(range(first, blocks if count is None else min(first + count, blocks)))

    def _read(self, file: sqlite3.Row, length: int, numbers: list[int]) -> Iterator[Found]:
        for number in numbers:
            row = self._db.execute(
                "SELECT substr(content, ?, ?) FROM objects WHERE bucket = ? AND name = ?",
                (number * length + 1, length, file["bucket"], file["name"]),
            ).fetchone()
            if row is None:  # a command has just removed the object
                raise not_found(f"The object {file['name']} does not exist.")
            data = base64.b64encode(row[0]).decode()
            yield {"f": file["file_id"], "l": len(row[0]), "i": number, "p": data}

    def _files(self, stream_id: str) -> list[sqlite3.Row]:
        return self._db.execute(
            "SELECT f.*, length(o.content) AS size FROM stream_files f JOIN objects o"
            " ON o.bucket = f.bucket AND o.name = f.name WHERE stream_id = ? ORDER BY file_id",
            (stream_id,),
        ).fetchall()

    def _size(self, bucket: str, name: str) -> int | None:
        row = self._db.execute(
            "SELECT length(content) FROM objects WHERE bucket = ? AND name = ?", (bucket, name)
        ).fetchone()
        return None if row is None else int(row[0])

    def _find(self, stream_id: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute("SELECT * FROM streams WHERE stream_id = ?", (stream_id,)).fetchone()
        return row

    def _get(self, stream_id: str) -> sqlite3.Row:
        row = self._find(stream_id)
        if row is None:
            raise not_found(f"Stream {stream_id} not found.")
        return row


def store_object(database: sqlite3.Connection, bucket: str, name: str, content: bytes) -> None:
    """Store an object in the emulated bucket. Raises ValueError for one that is too large."""
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"{name} has {len(content):,} bytes; the limit is {MAX_FILE_BYTES:,}")
    with transaction(database):
        database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (bucket, name, content))


def remove_object(database: sqlite3.Connection, bucket: str, name: str) -> None:
    """Remove an object from the emulated bucket; harmless if there is none."""
    database.execute("DELETE FROM objects WHERE bucket = ? AND name = ?", (bucket, name))
