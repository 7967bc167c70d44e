"""A small shop. It logs text and JSON, prints an embedded metric, and fails once it is sold out."""

import json
import logging
import time

logger = logging.getLogger()
logger.setLevel(logging.INFO)

# Kept between invocations, as long as the environment stays warm.
STOCK = {"kettle": 2, "cup": 12}


class SoldOutError(Exception):
    """Nothing of the item is left."""


def sell(item: str) -> int:
    if STOCK.get(item, 0) == 0:
        raise SoldOutError(f"no {item} left")
    STOCK[item] -= 1
    return STOCK[item]


def print_metric(name: str, value: float, item: str) -> None:
    """CloudWatch's embedded metric format: a JSON line that says which of its members are metrics."""
    metric = {"Name": name, "Unit": "Count"}
    directive = {"Namespace": "Shop", "Dimensions": [["item"]], "Metrics": [metric]}
    envelope = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    print(json.dumps({"_aws": envelope, "item": item, name: value}))


def handler(event, context):
    item = event.get("item", "kettle")
    print(f"somebody wants a {item}")
    left = sell(item)
    logger.info("sold one %s, %d left", item, left)
    print(json.dumps({"level": "INFO", "message": "order placed", "item": item, "left": left}))
    print_metric("sold", 1, item)
    return {"item": item, "left": left}
