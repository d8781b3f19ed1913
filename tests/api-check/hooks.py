"""What schemathesis cannot know by itself, and the count of the answers."""

import atexit
import json
import os
import random
import threading
import uuid
from collections import defaultdict

import schemathesis

lock = threading.Lock()
counts = defaultdict(lambda: defaultdict(int))
# The cursors of each operation, with the request that they belong to.
cursors = defaultdict(list)
# Contacts of several records with the name of one of them, and the splits that parted such contacts.
people = json.loads(os.environ["PEOPLE"])
splits = []
# Single requests of each operation that are meant to be good.
fuzzed = defaultdict(int)


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def choices(case):
    """Chance that is the same for the same request, because a sequence that failed is tried again."""
    known = (case.headers or {}).get("If-None-Match")
    return random.Random(repr((case.method, case.path_parameters, case.query, case.body, known)))


def is_for_nobody(case):
    """By chance, and the second single request of each operation in any case, because a short run has few of them."""
    if case.meta.phase.name == "fuzzing":
        with lock:
            fuzzed[name(case)] += 1
            if fuzzed[name(case)] == 2:
                return True
    return choices(case).random() < 0.2


def name(case):
    return f"{case.method.upper()} {case.operation.path}"


@schemathesis.hook
def filter_case(context, case):
    # `include=` is an empty list. The description cannot tell it from a list with an empty word.
    return (case.query or {}).get("include") not in ("", [""], [])


def filters_of(case):
    """What selects the items of a list: the query, or the body of a POST that reads."""
    if case.method.upper() == "POST":
        return case.body if isinstance(case.body, dict) else {}
    return case.query if case.query is not None else {}


@schemathesis.hook
def before_call(context, case, kwargs):
    if not is_positive(case):
        return
    # Now and then a tenant that is not there, where no id of the path can be unknown.
    if case.headers and "Pathbound-Tenant" in case.headers and not case.path_parameters and is_for_nobody(case):
        case.headers["Pathbound-Tenant"] = str(uuid.uuid4())
    # A key that has expired already cannot be made, and no schema can say what is past.
    if isinstance(case.body, dict) and str(case.body.get("expires_at") or "9999") < "2100":
        case.body["expires_at"] = "2100" + case.body["expires_at"][4:]
    # A short key would come again with another body, which is refused.
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    # No schema says which records a contact has, and which splits there are.
    with lock:
        if name(case) == "POST /v1/contacts/{id}/split" and people:
            person = people.pop()
            case.path_parameters["id"] = person["contact"]
            case.query = {}
            case.body = {"sources": [person["record"]]}
        elif name(case) == "DELETE /v1/contacts/{id}/split/{split}" and splits:
            case.path_parameters.update(splits.pop())
    # No made-up text is a cursor, and a cursor goes with the filters that it was made for.
    filters = filters_of(case)
    if "cursor" in filters:
        with lock:
            known = cursors[name(case)]
            chosen = choices(case).choice(known) if known else None
        if chosen is None:
            del filters["cursor"]
        else:
            limit = {"limit": filters["limit"]} if "limit" in filters else {}
            case.path_parameters = dict(chosen["path"])
            filters.clear()
            filters.update(chosen["filters"], **limit, cursor=chosen["cursor"])


@schemathesis.hook
def after_call(context, case, response):
    following = None
    if response.status_code == 200 and is_positive(case):
        body = response.json()
        following = body.get("next_cursor") if isinstance(body, dict) else None
    with lock:
        if name(case) == "POST /v1/contacts/{id}/split" and response.status_code == 200 and "id" in response.json():
            splits.append({"id": case.path_parameters["id"], "split": response.json()["id"]})
        counts[name(case)][str(response.status_code)] += 1
        if following is not None and len(cursors[name(case)]) < 50:
            filters = {key: value for key, value in filters_of(case).items() if key not in ("cursor", "limit")}
            path = dict(case.path_parameters or {})
            cursors[name(case)].append({"cursor": following, "filters": filters, "path": path})


@atexit.register
def write():
    with open(os.environ["ANSWERS"], "w") as file:
        json.dump(counts, file)
