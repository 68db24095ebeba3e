"""Things and Thing groups, the possible targets of a job (IoT API Reference, "CreateThing" and others)."""

from __future__ import annotations

import json
import sqlite3
import uuid
from typing import Any

from mqtt443_tools.localcore.jobs.request_fields import NAME, section, text
from mqtt443_tools.localcore.jobs.service_errors import already_exists, invalid, not_found

Params = dict[str, Any]


class ThingRegistry:
    """The control calls on Things and static Thing groups, with boto3's names, parameters and answers."""

    def __init__(self, database: sqlite3.Connection, arn_prefix: str) -> None:
        self._db = database
        self._arn_prefix = arn_prefix

    def create_thing(self, params: Params) -> Params:
        """CreateThing: repeating the same call is not an error."""
        name = text(params, "thingName", NAME)
        attributes = json.dumps(section(section(params, "attributePayload"), "attributes"), sort_keys=True)
        row = self._thing(name)
        if row is not None and row["attributes"] != attributes:
            raise already_exists(f"Thing {name} already exists in account with different attributes")
        if row is None:
            self._db.execute("INSERT INTO things VALUES (?, ?, ?)", (name, str(uuid.uuid4()), attributes))
        row = self._thing(name)
        return {"thingName": name, "thingArn": self.thing_arn(name), "thingId": row["id"] if row else ""}

    def describe_thing(self, params: Params) -> Params:
        """DescribeThing."""
        name = text(params, "thingName", NAME)
        row = self._thing(name)
        if row is None:
            raise not_found(f"Thing {name} not found.")
        return {
            "thingName": name,
            "defaultClientId": name,
            "thingId": row["id"],
            "thingArn": self.thing_arn(name),
            "attributes": json.loads(row["attributes"]),
            "version": 1,
        }

    def create_thing_group(self, params: Params) -> Params:
        """CreateThingGroup."""
        name = text(params, "thingGroupName", NAME)
        if self._group_id(name) is not None:
            raise already_exists(f"Thing group {name} already exists in current account.")
        group_id = str(uuid.uuid4())
        self._db.execute("INSERT INTO thing_groups VALUES (?, ?)", (name, group_id))
        return {"thingGroupName": name, "thingGroupArn": self._group_arn(name), "thingGroupId": group_id}

    def add_thing_to_thing_group(self, params: Params) -> Params:
        """AddThingToThingGroup."""
        group, thing = text(params, "thingGroupName", NAME), text(params, "thingName", NAME)
        if self._group_id(group) is None:
            raise not_found(f"Thing group {group} not found.")
        if self._thing(thing) is None:
            raise not_found(f"Thing {thing} not found.")
        self._db.execute("INSERT OR IGNORE INTO group_things VALUES (?, ?)", (group, thing))
        return {}

    def delete_thing_group(self, params: Params) -> Params:
        """DeleteThingGroup: not an error if the group does not exist."""
        name = text(params, "thingGroupName", NAME)
        self._db.execute("DELETE FROM group_things WHERE group_name = ?", (name,))
        self._db.execute("DELETE FROM thing_groups WHERE name = ?", (name,))
        return {}

    def thing_arn(self, name: str) -> str:
        """Return the ARN of a Thing."""
        return f"{self._arn_prefix}:thing/{name}"

    def things_of(self, targets: list[str]) -> list[str]:
        """Return the Things that the ARNs of a job's targets stand for, each once. Raises ServiceError."""
        found: dict[str, None] = {}
        for target in targets:
            kind, _, name = target.removeprefix(f"{self._arn_prefix}:").partition("/")
            if kind == "thing" and self._thing(name) is not None:
                found[name] = None
            elif kind == "thinggroup" and self._group_id(name) is not None:
                rows = self._db.execute("SELECT thing FROM group_things WHERE group_name = ? ORDER BY thing", (name,))
                found |= dict.fromkeys(row["thing"] for row in rows)
            elif kind in {"thing", "thinggroup"}:
                raise not_found(f"Target {target} not found.")
            else:
                raise invalid(f"Target {target} must be the ARN of a thing or a thing group in this account")
        return list(found)

    def _thing(self, name: str) -> Any:
        return self._db.execute("SELECT * FROM things WHERE name = ?", (name,)).fetchone()

    def _group_id(self, name: str) -> str | None:
        row = self._db.execute("SELECT id FROM thing_groups WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row["id"])

    def _group_arn(self, name: str) -> str:
        return f"{self._arn_prefix}:thinggroup/{name}"
